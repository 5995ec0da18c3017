//! Bars on standard error: submitted, done, events. Silent where nobody looks.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::Format;

pub(super) struct Progress {
    bars: MultiProgress,
    submitted: ProgressBar,
    done: ProgressBar,
    events: ProgressBar,
}

impl Progress {
    pub(super) fn new(format: Format, jobs: usize) -> Self {
        let target = match format {
            Format::Table => ProgressDrawTarget::stderr(),
            Format::Json => ProgressDrawTarget::hidden(),
        };
        let bars = MultiProgress::with_draw_target(target);
        let bar = |name: &'static str, length: Option<u64>| {
            let template = match length {
                Some(_) => "{prefix:>10} {bar:40} {pos}/{len}",
                None => "{prefix:>10} {pos}",
            };
            let style = ProgressStyle::with_template(template).expect("the template is one of the two above");
            let bar = length.map_or_else(ProgressBar::no_length, ProgressBar::new).with_style(style).with_prefix(name);
            bars.add(bar)
        };
        let length = Some(jobs as u64);
        let (submitted, done, events) = (bar("submitted", length), bar("done", length), bar("events", None));
        Self { bars, submitted, done, events }
    }

    pub(super) fn submitted(&self, more: usize) {
        self.submitted.inc(more as u64);
    }

    pub(super) fn done(&self, jobs: usize) {
        self.done.set_position(jobs as u64);
    }

    pub(super) fn events(&self, events: usize) {
        self.events.set_position(events as u64);
    }

    pub(super) fn finish(&self) {
        for bar in [&self.submitted, &self.done, &self.events] {
            bar.abandon();
        }
        if !self.bars.is_hidden() {
            eprintln!();
        }
    }
}
