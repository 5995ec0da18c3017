mod calls;
mod half_close;
mod health;
mod house;
mod leadership;
mod shutdown;
mod tasks;
mod tls;
