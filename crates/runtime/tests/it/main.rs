mod calls;
mod health;
mod house;
mod leadership;
mod shutdown;
mod tasks;
mod tls;
