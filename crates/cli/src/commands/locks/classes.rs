use holdfast_client::Client;
use serde_json::{Value, json};

use crate::{
    output::{Format, print},
    present::locks,
};

#[derive(Debug, clap::Args)]
pub(crate) struct ClassesArgs {}

impl ClassesArgs {
    pub(crate) async fn run(self, client: &Client, format: Format) -> anyhow::Result<()> {
        let classes = client.locks().classes().await?;
        let document = json!({ "classes": classes.iter().map(locks::class_json).collect::<Vec<Value>>() });
        print(format, &document, || locks::classes_table(&classes))
    }
}
