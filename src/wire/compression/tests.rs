//! Runs over lines and compressors that are only computed, held against compressing always and never.

use super::*;
use std::collections::VecDeque;

/// Bytes of content in a block.
const BLOCK: usize = 256 << 10;
/// Blocks that may be on their way: what 16 MiB of credit are good for.
const WINDOW: usize = 64;
const MB: f64 = 1e6;

/// A run in computed time: a source as fast as it is asked, a compressor and a line.
#[derive(Debug, Clone, Copy)]
struct Path {
    /// Bytes of content a second that the compressor takes.
    compressor: f64,
    /// What is left of a byte.
    ratio: f64,
    /// Bytes a second.
    line: f64,
    /// Bytes that wait between the sender and the line without anybody noticing.
    holds: f64,
    /// Seconds between one block and the next, if the source is slow.
    pause: f64,
}

/// What becomes of a run.
#[derive(Debug, Clone, Copy, Default)]
struct Run {
    /// Until the line has taken everything.
    seconds: f64,
    compressed: usize,
    /// Seconds spent in compressing.
    compressing: f64,
}

#[derive(Debug, Clone, Copy)]
enum How {
    Never,
    Always,
    Auto,
}

struct Sender {
    base: Instant,
    now: f64,
    /// The bytes of each block that the line has not taken yet.
    waiting: VecDeque<f64>,
    choice: Choice,
    run: Run,
}

impl Sender {
    fn new() -> Sender {
        let choice = Choice::new(CompressWhen::Auto);
        Sender { base: Instant::now(), now: 0.0, waiting: VecDeque::new(), choice, run: Run::default() }
    }

    fn instant(&self) -> Instant {
        self.base + Duration::from_secs_f64(self.now)
    }

    fn bytes_waiting(&self) -> f64 {
        self.waiting.iter().sum()
    }

    fn pass(&mut self, seconds: f64, path: Path) {
        self.now += seconds;
        let mut takes = seconds * path.line;
        while let Some(first) = self.waiting.front_mut() {
            if *first > takes {
                *first -= takes;
                break;
            }
            takes -= *first;
            self.waiting.pop_front();
        }
    }

    /// Waits until there is credit for one more block.
    fn wait_for_credit(&mut self, path: Path) {
        while self.waiting.len() >= WINDOW {
            let took = self.waiting.front().unwrap() / path.line;
            self.pass(took, path);
            self.waiting.truncate(WINDOW - 1);
            self.choice.starved(Duration::from_secs_f64(took), self.instant());
        }
    }

    fn send(&mut self, path: Path, blocks: usize, how: How) {
        for _ in 0..blocks {
            self.pass(path.pause, path);
            self.wait_for_credit(path);
            let compresses = match how {
                How::Never => false,
                How::Always => true,
                How::Auto => self.choice.compresses(BLOCK, self.instant()),
            };
            let mut len = BLOCK as f64;
            if compresses {
                let took = len / path.compressor;
                self.pass(took, path);
                len *= path.ratio;
                self.run.compressed += 1;
                self.run.compressing += took;
                let block = Block { from: BLOCK, to: len as usize, took: Duration::from_secs_f64(took) };
                self.choice.compressed(block, self.instant());
            }
            let copying = len / 4e9;
            let took = copying.max((self.bytes_waiting() + len - path.holds) / path.line);
            self.waiting.push_back(len);
            self.pass(took, path);
            self.choice.written(len as usize, Duration::from_secs_f64(took), self.instant());
        }
    }

    fn finish(mut self, path: Path) -> Run {
        self.run.seconds = self.now + self.bytes_waiting() / path.line;
        self.run
    }
}

fn run(path: Path, blocks: usize, how: How) -> Run {
    let mut sender = Sender::new();
    sender.send(path, blocks, how);
    sender.finish(path)
}

/// A gigabyte takes little longer than it would if the better of always and never had been known, whatever the line,
/// the compressor and the data.
#[test]
fn it_is_about_as_good_as_the_better_of_always_and_never() {
    for line in [0.1, 1.0, 2.5, 12.0, 60.0, 118.0, 200.0, 400.0, 1000.0] {
        for compressor in [3.0, 30.0, 150.0, 300.0, 1500.0] {
            for ratio in [1.0, 0.97, 0.6, 0.3, 0.01] {
                for holds in [200e3, 4.5 * MB] {
                    let path =
                        Path { compressor: compressor * MB, ratio, line: line * MB, holds, pause: 0.0 };
                    let [never, always, auto] =
                        [How::Never, How::Always, How::Auto].map(|how| run(path, 4096, how));
                    let best = never.seconds.min(always.seconds);
                    // Nothing is compressed while the line takes it about as fast, so what overlapping gains is lost.
                    let between = compressor < line / (1.0 - ratio).max(0.01) && compressor > line;
                    let allowed = if between { 1.5 } else { 1.06 };
                    // What waits before the line when the opening is over is not compressed any more.
                    let late = holds / path.line;
                    // Tries are for nothing: eight until the rests are longest, and as many after.
                    let tries = 16.0 * BLOCK as f64 / path.compressor;
                    assert!(
                        auto.seconds < best * allowed + late + tries + 0.12,
                        "{path:?}\nnever {never:?}\nalways {always:?}\nauto {auto:?}"
                    );
                }
            }
        }
    }
}

const TEXT: Path = Path { compressor: 300.0 * MB, ratio: 0.3, line: 2.5 * MB, holds: 4.5 * MB, pause: 0.0 };
const NOISE: Path = Path { compressor: 900.0 * MB, ratio: 1.0, ..TEXT };

#[test]
fn over_a_slow_line_all_text_is_compressed_and_noise_costs_nothing() {
    let text = run(TEXT, 1000, How::Auto);
    assert!(text.compressed >= 995, "{text:?}");
    let noise = run(NOISE, 1000, How::Auto);
    assert!(noise.compressing < noise.seconds / 100.0, "{noise:?}");
}

#[test]
fn over_a_fast_line_hardly_anything_is_compressed() {
    for path in [TEXT, NOISE] {
        let auto = run(Path { line: 400.0 * MB, ..path }, 4096, How::Auto);
        assert!(auto.compressing < 0.18, "{auto:?}");
    }
}

/// A little fits between the sender and any line, so the line's speed never shows.
#[test]
fn what_is_little_or_comes_in_drops_is_compressed() {
    assert_eq!(run(TEXT, 40, How::Auto).compressed, 40);
    assert_eq!(run(Path { pause: 0.5, ..TEXT }, 40, How::Auto).compressed, 40);
}

/// A source that is slower than the line gains nothing by compressing, however long the run is.
#[test]
fn a_slow_source_is_not_compressed_for_long() {
    let path = Path { line: 100.0 * MB, pause: 0.01, ..TEXT };
    let auto = run(path, 4096, How::Auto);
    assert!(auto.compressing < 0.18, "{auto:?}");
}

#[test]
fn it_follows_the_data() {
    let mut sender = Sender::new();
    sender.send(TEXT, 200, How::Auto);
    sender.send(NOISE, 200, How::Auto);
    let before = sender.run.compressed;
    sender.send(TEXT, 200, How::Auto);
    // A try costs next to nothing, as the line is busy with a block of noise for a tenth of a second.
    assert!(sender.run.compressed - before >= 199, "{} of 200", sender.run.compressed - before);
}

#[test]
fn it_follows_the_line() {
    let (slow, fast) = (TEXT, Path { line: 400.0 * MB, ..TEXT });
    let mut sender = Sender::new();
    for (path, blocks, range) in [(slow, 200, 195..=200), (fast, 8000, 0..=1200), (slow, 300, 250..=300)] {
        let before = sender.run.compressed;
        sender.send(path, blocks, How::Auto);
        let compressed = sender.run.compressed - before;
        assert!(range.contains(&compressed), "{path:?}: {compressed} of {blocks}");
    }
}

#[test]
fn always_is_whatever_the_line_does() {
    let mut choice = Choice::new(CompressWhen::Always);
    let (took, mut now) = (Duration::from_millis(10), Instant::now());
    let compressed = |to| Block { from: BLOCK, to, took };
    for _ in 0..100 {
        assert!(choice.compresses(BLOCK, now));
        choice.compressed(compressed(BLOCK / 2), now);
        now += took;
        choice.written(BLOCK / 2, Duration::from_micros(50), now);
    }
    let mut tries = 0;
    for _ in 0..10_000 {
        if choice.compresses(BLOCK, now) {
            tries += 1;
            choice.compressed(compressed(BLOCK), now);
        }
        now += took;
    }
    assert!((2..=110).contains(&tries), "{tries}");
    now += took * TRIES;
    assert!(choice.compresses(BLOCK, now));
    choice.compressed(compressed(BLOCK / 2), now);
    assert!(choice.compresses(BLOCK, now));
}

#[test]
fn a_little_noise_says_nothing_of_much_text() {
    let mut choice = Choice::new(CompressWhen::Always);
    let (took, now) = (Duration::from_millis(10), Instant::now());
    assert!(choice.compresses(300, now));
    choice.compressed(Block { from: 300, to: 300, took }, now);
    assert!(!choice.compresses(300, now));
    assert!(choice.compresses(BLOCK, now));
}

#[test]
fn odd_measurements_are_harmless() {
    for when in [CompressWhen::Always, CompressWhen::Auto] {
        let mut choice = Choice::new(when);
        let now = Instant::now();
        for took in [Duration::ZERO, Duration::MAX] {
            for (from, to) in [(0, 0), (0, usize::MAX), (usize::MAX, usize::MAX), (usize::MAX, 0)] {
                choice.compressed(Block { from, to, took }, now);
                choice.written(from, took, now);
                let _ = choice.compresses(BLOCK, now);
            }
        }
    }
}
