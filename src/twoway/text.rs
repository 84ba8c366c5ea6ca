//! How what a plan holds is written where people read it: names with their odd bytes escaped, sums and identities in
//! hexadecimal, times as seconds and nanoseconds.

/// Bytes that are mostly text.
pub(super) mod bytes {
    use crate::tree::{Escaped, unescaped};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(in crate::twoway) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&Escaped(bytes))
    }

    pub(in crate::twoway) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Box<[u8]>, D::Error> {
        let text = String::deserialize(from)?;
        unescaped(&text).map(Vec::into_boxed_slice).ok_or_else(|| D::Error::custom("an escape is malformed"))
    }
}

/// Bytes as they are, where nobody reads them, and in one piece.
pub(super) mod raw {
    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};
    use std::fmt;
    use std::marker::PhantomData;

    pub(in crate::twoway) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub(in crate::twoway) fn deserialize<'d, D: Deserializer<'d>, T>(from: D) -> Result<T, D::Error>
    where
        T: for<'a> TryFrom<&'a [u8]>,
    {
        from.deserialize_bytes(Raw(PhantomData))
    }

    struct Raw<T>(PhantomData<T>);

    impl<T: for<'a> TryFrom<&'a [u8]>> Visitor<'_> for Raw<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("so many bytes")
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<T, E> {
            T::try_from(bytes).map_err(|_| E::invalid_length(bytes.len(), &self))
        }
    }
}

/// A path.
pub(super) mod path {
    use crate::tree::RelPath;
    use serde::{Deserializer, Serializer, de::Error};

    pub(in crate::twoway) fn serialize<S: Serializer>(path: &RelPath, to: S) -> Result<S::Ok, S::Error> {
        super::bytes::serialize(path.as_bytes(), to)
    }

    pub(in crate::twoway) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<RelPath, D::Error> {
        RelPath::new(super::bytes::deserialize(from)?).map_err(D::Error::custom)
    }
}

/// A version, which many records share.
pub(super) mod version {
    use crate::twoway::version::Version;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::sync::Arc;

    pub(in crate::twoway) fn serialize<S: Serializer>(
        version: &Arc<Version>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        version.as_ref().serialize(to)
    }

    pub(in crate::twoway) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Arc<Version>, D::Error> {
        Version::deserialize(from).map(Arc::new)
    }
}

/// A fixed number of bytes that mean nothing to people.
pub(super) mod hex {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::fmt;

    struct Hex<'a>(&'a [u8]);

    impl fmt::Display for Hex<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
        }
    }

    pub(in crate::twoway) fn serialize<S: Serializer, const N: usize>(
        bytes: &[u8; N],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_str(&Hex(bytes))
    }

    pub(in crate::twoway) fn deserialize<'d, D: Deserializer<'d>, const N: usize>(
        from: D,
    ) -> Result<[u8; N], D::Error> {
        let text = String::deserialize(from)?;
        parsed(text.as_bytes())
            .ok_or_else(|| D::Error::custom(format_args!("not {} hexadecimal digits", N.saturating_mul(2))))
    }

    fn parsed<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
        let digit = |digit: &u8| char::from(*digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let byte = |pair: &[u8]| match pair {
            [high, low] => Some(digit(high)? << 4 | digit(low)?),
            _ => None,
        };
        text.chunks(2).map(byte).collect::<Option<Vec<u8>>>()?.try_into().ok()
    }
}

/// A time.
pub(super) mod time {
    use filetime::FileTime;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    const SECOND: u32 = 1_000_000_000;

    pub(in crate::twoway) fn serialize<S: Serializer>(time: &FileTime, to: S) -> Result<S::Ok, S::Error> {
        (time.unix_seconds(), time.nanoseconds()).serialize(to)
    }

    pub(in crate::twoway) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<FileTime, D::Error> {
        let (seconds, nanoseconds) = <(i64, u32)>::deserialize(from)?;
        match nanoseconds < SECOND {
            true => Ok(FileTime::from_unix_time(seconds, nanoseconds)),
            false => Err(D::Error::custom("a time with a second or more of nanoseconds")),
        }
    }
}
