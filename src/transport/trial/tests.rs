use super::*;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Instant;

/// A connection to the test, and the test's end of it.
struct Far(UnixStream);

struct Socket(UnixStream);

impl Carrier for Socket {
    fn close(&self) {
        let _ = self.0.shutdown(Shutdown::Both);
    }

    fn wait(&self, _: Duration) -> Option<RemoteExit> {
        Some(RemoteExit::Status(0))
    }

    fn may_ask(&self) -> bool {
        false
    }

    fn another(&self) -> Result<Connection, Error> {
        Err(Error::EmptyCommand)
    }

    /// What runs there says its own name and ends.
    fn run(&self, command: &RemoteCommand) -> Result<Connection, Error> {
        let (connection, mut far) = pair();
        far.0.write_all(&command.line()).unwrap();
        Ok(connection)
    }
}

struct Half(UnixStream);

impl Write for Half {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Half {
    fn drop(&mut self) {
        let _ = self.0.shutdown(Shutdown::Write);
    }
}

fn pair() -> (Connection, Far) {
    let (here, there) = UnixStream::pair().unwrap();
    let connection = Connection {
        reader: Box::new(here.try_clone().unwrap()),
        writer: Box::new(Half(here.try_clone().unwrap())),
        control: Control::new(Arc::new(Socket(here))),
    };
    (connection, Far(there))
}

impl Far {
    fn read(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }

    fn read_all(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // A socket that was closed with something unread in it is one that fails here.
        let _ = self.0.read_to_end(&mut bytes);
        bytes
    }
}

/// Keeps what begins with a `y`, puts the others that there are in the place of what does not, and then fails.
fn judge(others: Vec<Connection>) -> Judge {
    let mut others = others.into_iter();
    Box::new(move |reader, _| {
        let mut first = [0];
        match reader.read_exact(&mut first) {
            Ok(()) if first == *b"y" => Verdict::Keep,
            _ => others.next().map_or_else(|| Verdict::Fail(io::Error::other("no other")), Verdict::Instead),
        }
    })
}

fn read(reader: &mut dyn Read, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    reader.read_exact(&mut bytes).unwrap();
    bytes
}

#[test]
fn what_stays_is_as_if_there_had_been_no_trial() {
    let (connection, mut far) = pair();
    let Connection { mut reader, mut writer, control } = on_trial(connection, judge(Vec::new()));
    writer.write_all(b"before ").unwrap();
    far.0.write_all(b"yes").unwrap();
    assert_eq!(read(&mut *reader, 3), b"yes");
    writer.write_all(b"after").unwrap();
    drop(writer);
    assert_eq!(far.read_all(), b"before after");
    control.close();
    assert_eq!(reader.read(&mut [0; 9]).unwrap(), 0);
}

#[test]
fn what_was_written_is_written_again_to_the_one_that_stays() {
    let ((first, mut one), (second, mut two), (third, mut three)) = (pair(), pair(), pair());
    let Connection { mut reader, mut writer, control } = on_trial(first, judge(vec![second, third]));
    writer.write_all(b"before ").unwrap();
    assert_eq!(one.read(7), b"before ");
    for (far, word) in [(&mut one, "no"), (&mut two, "neither"), (&mut three, "yes")] {
        far.0.write_all(word.as_bytes()).unwrap();
    }
    assert_eq!(read(&mut *reader, 3), b"yes");
    writer.write_all(b"after").unwrap();
    drop(writer);
    assert_eq!(three.read_all(), b"before after");
    assert_eq!((one.read_all(), two.read_all()), (Vec::new(), Vec::new()));
    control.close();
    assert_eq!(reader.read(&mut [0; 9]).unwrap(), 0);
}

#[test]
fn a_writer_that_fails_waits_for_the_verdict() {
    // The far end is gone before anything is written.
    for stays in [false, true] {
        let ((first, mut one), (second, mut two)) = (pair(), pair());
        let Connection { mut reader, mut writer, .. } = on_trial(first, judge(vec![second]));
        one.0.write_all(if stays { b"y" } else { b"n" }).unwrap();
        two.0.write_all(b"yes").unwrap();
        one.0.shutdown(Shutdown::Both).unwrap();
        let writing = thread::spawn(move || writer.write_all(b"word").map(|()| drop(writer)));
        thread::sleep(Duration::from_millis(20));
        assert!(!writing.is_finished(), "nothing is decided yet");
        assert_eq!(read(&mut *reader, 1), b"y");
        assert_eq!(writing.join().unwrap().is_err(), stays);
        if !stays {
            assert_eq!(two.read_all(), b"word");
        }
    }
}

#[test]
fn a_writer_that_has_finished_before_the_verdict_has_finished_after_it() {
    let ((first, one), (second, mut two)) = (pair(), pair());
    let Connection { mut reader, mut writer, .. } = on_trial(first, judge(vec![second]));
    writer.write_all(b"all").unwrap();
    drop((writer, one));
    two.0.write_all(b"y").unwrap();
    assert_eq!(read(&mut *reader, 1), b"y");
    assert_eq!(two.read_all(), b"all");
}

#[test]
fn much_that_was_written_is_no_obstacle_to_reading() {
    let ((first, mut one), (second, mut two)) = (pair(), pair());
    let Connection { mut reader, mut writer, .. } = on_trial(first, judge(vec![second]));
    let much = vec![7; 1 << 20];
    // All of it is kept before anything is read here, as the first takes it and says nothing.
    let taking = thread::spawn(move || one.read(1 << 20).len());
    writer.write_all(&much).unwrap();
    assert_eq!(taking.join().unwrap(), 1 << 20);
    two.0.write_all(b"yes, and nothing is read before this is").unwrap();
    assert_eq!(read(&mut *reader, 39).len(), 39);
    let writing = thread::spawn(move || writer.write_all(b"!"));
    assert_eq!(two.read(1 << 20).len(), 1 << 20);
    assert_eq!(two.read_all(), b"!");
    writing.join().unwrap().unwrap();
}

#[test]
fn where_none_stays_both_ends_learn_it() {
    let (first, mut one) = pair();
    let Connection { mut reader, mut writer, .. } = on_trial(first, judge(Vec::new()));
    one.0.write_all(b"no").unwrap();
    drop(one);
    let writing = thread::spawn(move || writer.write_all(b"word"));
    assert_eq!(reader.read(&mut [0; 9]).unwrap_err().to_string(), "no other");
    assert!(writing.join().unwrap().is_err());
    let (first, one) = pair();
    let Connection { reader, mut writer, .. } = on_trial(first, judge(Vec::new()));
    drop((one, reader));
    assert!(writer.write_all(b"word").is_err(), "nobody will ever judge");
}

#[test]
fn closing_reaches_what_the_judge_runs() {
    let (first, one) = pair();
    let judge: Judge = Box::new(|_, trial| {
        let mut run = trial.run(&RemoteCommand::script("true").unwrap()).unwrap();
        let mut said = Vec::new();
        // Ends only when it is closed: its far end is gone, but this side of it is not.
        let _ = run.reader.read_to_end(&mut said);
        assert_eq!(said, b"exec sh -c 'true'");
        let until = Instant::now() + Duration::from_secs(10);
        while !trial.is_closed() && Instant::now() < until {
            thread::sleep(Duration::from_millis(1));
        }
        assert!(run.writer.write_all(b"x").is_err());
        assert!(trial.run(&RemoteCommand::script("true").unwrap()).unwrap().writer.write_all(b"x").is_err());
        Verdict::Fail(io::ErrorKind::Interrupted.into())
    });
    let Connection { mut reader, control, .. } = on_trial(first, judge);
    let reading = thread::spawn(move || reader.read(&mut [0]));
    thread::sleep(Duration::from_millis(20));
    control.close();
    assert!(reading.join().unwrap().is_err());
    drop(one);
}
