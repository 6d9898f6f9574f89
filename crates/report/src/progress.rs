//! How far a long task has come, on stderr.
//!
//! On a terminal: one bar with its rate and the time left. Elsewhere (a log, a batch job): one
//! line at the start and one at the end of each task, and nothing between.

use std::fmt;
use std::io::IsTerminal;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::style::TemplateError;
use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressState, ProgressStyle};

/// All bars of the program, so that lines are printed above them rather than through them.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

const TEMPLATE: &str =
    "{prefix:24!} {bar:32.cyan} {pos:>7}/{len:7} {rate:>10}  {eta_precise} left {msg}";

/// Prints one line on stderr without disturbing the bars.
pub fn say(line: &str) {
    if std::io::stderr().is_terminal() {
        BARS.suspend(|| eprintln!("{line}"));
    } else {
        eprintln!("{line}");
    }
}

/// The progress of one task. Threads share it by reference.
#[derive(Debug)]
pub struct Progress {
    label: String,
    total: u64,
    done: AtomicU64,
    started: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Starts a task of `total` steps.
    pub fn start(label: &str, total: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = BARS.add(ProgressBar::new(total));
            if let Ok(style) = style() {
                bar.set_style(style);
            }
            bar.set_prefix(label.to_string());
            bar.enable_steady_tick(Duration::from_millis(250));
            bar
        });
        if bar.is_none() {
            eprintln!("{label}: {total} steps");
        }
        Self {
            label: label.to_string(),
            total,
            done: AtomicU64::new(0),
            started: Instant::now(),
            bar,
        }
    }

    /// Notes `n` more steps done; callable from any thread.
    pub fn inc(&self, n: u64) {
        self.done.fetch_add(n, Ordering::Relaxed);
        if let Some(bar) = &self.bar {
            bar.inc(n);
        }
    }

    /// Steps done so far.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Ends the task, with a line that says how long it took; dropping it says the same.
    pub fn finish(self) {}
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
            BARS.remove(bar);
        }
        say(&ending(
            &self.label,
            self.done(),
            self.total,
            self.started.elapsed(),
        ));
    }
}

fn style() -> Result<ProgressStyle, TemplateError> {
    let rate = |state: &ProgressState, out: &mut dyn fmt::Write| {
        let rate = state.per_sec();
        let decimals = if rate < 10.0 { 2 } else { 0 };
        let _ = write!(out, "{rate:.decimals$}/s");
    };
    let style = ProgressStyle::with_template(TEMPLATE)?;
    Ok(style.with_key("rate", rate).progress_chars("━╸─"))
}

fn ending(label: &str, done: u64, total: u64, elapsed: Duration) -> String {
    let time = match elapsed.as_secs() {
        0..60 => format!("{:.1} s", elapsed.as_secs_f64()),
        _ => HumanDuration(elapsed).to_string(),
    };
    if done == total {
        format!("{label}: done in {time}")
    } else {
        format!("{label}: stopped at {done} of {total} after {time}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_count_together() {
        let progress = Progress::start("test task", 400);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..100).for_each(|_| progress.inc(1)));
            }
        });
        assert_eq!(progress.done(), 400);
        progress.finish();
    }

    #[test]
    fn the_last_line_says_what_happened() {
        let time = Duration::from_millis(1500);
        assert_eq!(ending("llc", 5, 5, time), "llc: done in 1.5 s");
        assert_eq!(
            ending("llc", 3, 5, time),
            "llc: stopped at 3 of 5 after 1.5 s"
        );
    }

    #[test]
    fn the_bar_template_is_valid() {
        assert!(style().is_ok());
    }
}
