mod calls;
mod health;
mod house;
mod shutdown;
mod tasks;
