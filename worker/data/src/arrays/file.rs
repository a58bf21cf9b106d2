//! Arrays of NumPy as files: in an archive, or one by one. No header makes this program allocate more than a few bytes.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};

use npyz::{DType, Endianness, NpyHeader, TypeChar};
use zip::ZipArchive;

use crate::error::DataError;
use crate::root::Folder;

/// Limit of an array's header, in bytes; NumPy writes 128.
const MOST_HEADER: usize = 64 << 10;
/// The most bytes that one byte of an archive becomes: deflate reaches 1032.
const MOST_EXPANSION: u64 = 1100;

/// The values of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    /// Unsigned bytes.
    Byte,
    /// Whole numbers of 1, 2, 4 or 8 bytes.
    Whole { bytes: usize, signed: bool, big_endian: bool },
    /// Anything else.
    Other,
}

impl Number {
    /// Returns the bytes of a whole number.
    pub(super) fn size(self) -> Option<usize> {
        match self {
            Number::Byte => Some(1),
            Number::Whole { bytes, .. } => Some(bytes),
            Number::Other => None,
        }
    }

    /// Returns the value of a whole number of [`Self::size`] bytes.
    pub(super) fn value(self, bytes: &[u8]) -> i64 {
        let (signed, big_endian) = match self {
            Number::Whole { signed, big_endian, .. } => (signed, big_endian),
            Number::Byte | Number::Other => (false, false),
        };
        let negative =
            signed && (if big_endian { bytes.first() } else { bytes.last() }).is_some_and(|byte| *byte > 127);
        let mut wide = [if negative { 0xff } else { 0 }; 8];
        if big_endian {
            wide[8 - bytes.len()..].copy_from_slice(bytes);
            i64::from_be_bytes(wide)
        } else {
            wide[..bytes.len()].copy_from_slice(bytes);
            i64::from_le_bytes(wide)
        }
    }
}

/// What an array says about itself.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) shape: Vec<u64>,
    pub(super) number: Number,
    /// The type as NumPy writes it.
    pub(super) type_name: String,
    /// Bytes before the values.
    pub(super) bytes: usize,
}

/// A file that can be searched.
pub(super) trait Archived: Read + Seek {}
impl<T: Read + Seek> Archived for T {}

/// The place of arrays.
pub(super) enum Store<'a> {
    /// An `.npz` file.
    Archive(ZipArchive<Box<dyn Archived + 'a>>),
    /// The `.npy` files of a folder.
    Files(&'a Folder),
}

fn described(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Runs `read`, and turns a panic of a library on damaged content into a reason.
fn guarded<T>(read: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err("the reader failed on it".to_owned()))
}

impl<'a> Store<'a> {
    /// Opens the archive `name` of `folder`.
    pub(super) fn archive(folder: &Folder, name: &str) -> Result<Self, DataError> {
        let file: File = folder.open(name)?;
        let archive: Box<dyn Archived> = Box::new(BufReader::new(file));
        let opened = guarded(|| ZipArchive::new(archive).map_err(described));
        opened.map(Self::Archive).map_err(|reason| DataError::Format { path: folder.shown(name), reason })
    }

    /// Opens an archive in memory.
    pub(super) fn of_bytes(bytes: &'a [u8]) -> Result<Self, String> {
        let archive: Box<dyn Archived + 'a> = Box::new(Cursor::new(bytes));
        guarded(|| ZipArchive::new(archive).map_err(described)).map(Self::Archive)
    }

    /// Returns whether there is an array of this name.
    pub(super) fn has(&mut self, array: &str) -> bool {
        let name = npyz::npz::file_name_from_array_name(array);
        match self {
            Self::Archive(archive) => archive.by_name(&name).is_ok(),
            Self::Files(folder) => folder.has_file(&name),
        }
    }

    /// Returns the names of at most twenty arrays.
    pub(super) fn names(&self) -> Vec<String> {
        let Self::Archive(archive) = self else { return Vec::new() };
        let names = archive.file_names().flatten().map(|name| name.chars().take(60).collect::<String>());
        names.take(20).map(|name| name.escape_debug().to_string()).collect()
    }

    /// Returns an error if an array of `length` bytes cannot be in its file, packed or not.
    pub(super) fn check_plausible(&mut self, array: &str, length: u64) -> Result<(), String> {
        let name = npyz::npz::file_name_from_array_name(array);
        let (stored, most) = match self {
            Self::Archive(archive) => {
                let stored = archive.by_name(&name).map_err(described)?.compressed_size();
                (stored, stored.saturating_mul(MOST_EXPANSION))
            }
            Self::Files(folder) => {
                let stored = folder.open(&name).map_err(described)?.metadata().map_err(described)?.len();
                (stored, stored)
            }
        };
        if length <= most {
            Ok(())
        } else {
            Err(format!("`{array}` cannot have {length} bytes, its file has {stored}"))
        }
    }

    /// Returns what the array says about itself.
    pub(super) fn header(&mut self, array: &str) -> Result<Header, String> {
        let mut header = None;
        self.open(array, |reader| {
            header = Some(header_of(reader));
            Ok(())
        })?;
        header.unwrap_or_else(|| Err("it is missing".to_owned())).map_err(|reason| format!("`{array}`: {reason}"))
    }

    /// Gives the values of an array, after its header, to `read`.
    pub(super) fn read(
        &mut self,
        array: &str,
        header: &Header,
        read: impl FnOnce(&mut dyn Read) -> io::Result<()>,
    ) -> Result<(), String> {
        self.open(array, |reader| {
            io::copy(&mut reader.take(header.bytes as u64), &mut io::sink())?;
            read(reader)
        })
    }

    fn open(&mut self, array: &str, read: impl FnOnce(&mut dyn Read) -> io::Result<()>) -> Result<(), String> {
        let name = npyz::npz::file_name_from_array_name(array);
        guarded(|| match self {
            Self::Archive(archive) => read(&mut archive.by_name(&name).map_err(described)?).map_err(described),
            Self::Files(folder) => read(&mut BufReader::new(folder.open(&name).map_err(described)?)).map_err(described),
        })
    }
}

/// Reads the header of an array. Its length is checked before any of it is read.
fn header_of(mut reader: &mut dyn Read) -> Result<Header, String> {
    let mut first = [0; 12];
    reader.read_exact(&mut first).map_err(described)?;
    // Magic number, version, and the length of the header in two bytes, or in four from version 2 on.
    let [.., major, _, a, b, c, d] = first;
    let (fixed, length) = match major {
        1 => (10, usize::from(u16::from_le_bytes([a, b]))),
        _ => (12, u32::from_le_bytes([a, b, c, d]) as usize),
    };
    if !first.starts_with(b"\x93NUMPY") {
        return Err("it does not begin like an array of NumPy".to_owned());
    }
    if length > MOST_HEADER {
        return Err(format!("its header has {length} bytes, more than {MOST_HEADER}"));
    }
    let parsed = NpyHeader::from_reader(Cursor::new(first).chain(&mut reader)).map_err(described)?;
    if parsed.uses_pickled_array() {
        return Err("it holds Python objects, which are never read: save it as an array of `uint8`".to_owned());
    }
    if parsed.order() == npyz::Order::Fortran && parsed.shape().iter().filter(|length| **length > 1).count() > 1 {
        return Err("it is in Fortran's order: save `numpy.ascontiguousarray` of it".to_owned());
    }
    let dtype = parsed.dtype();
    let number = match &dtype {
        DType::Plain(plain) => {
            let (bytes, big_endian) = (plain.size_field() as usize, plain.endianness() == Endianness::Big);
            match (plain.type_char(), bytes) {
                (TypeChar::Uint, 1) | (TypeChar::Bool, 1) => Number::Byte,
                (TypeChar::Uint, 2 | 4 | 8) => Number::Whole { bytes, signed: false, big_endian },
                (TypeChar::Int, 1 | 2 | 4 | 8) => Number::Whole { bytes, signed: true, big_endian },
                _ => Number::Other,
            }
        }
        DType::Array(..) | DType::Record(_) => Number::Other,
    };
    let type_name: String = dtype.descr().trim_matches('\'').chars().take(40).collect();
    Ok(Header { shape: parsed.shape().to_vec(), number, type_name, bytes: fixed + length })
}
