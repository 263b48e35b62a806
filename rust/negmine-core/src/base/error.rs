//! The error type of the core, with one variant per kind of mistake; the fields hold the values that the message names.

use std::fmt;

/// The result of every fallible function of the core.
pub type Result<T> = std::result::Result<T, Error>;

/// The errors of a call. Arguments have the names that the Python interface gives them.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// A row holds NaN or an infinity.
    NonFinite {
        /// The array.
        argument: &'static str,
        /// Its row.
        row: usize,
        /// The column of the first such value.
        column: usize,
    },
    /// A float64 value lies beyond the range of float32.
    BeyondFloat32 {
        /// The array.
        argument: &'static str,
        /// Its row.
        row: usize,
        /// The column of the first such value.
        column: usize,
    },
    /// Two sides differ in width.
    WidthMismatch {
        /// Width of the queries.
        queries: usize,
        /// Width of the corpus.
        corpus: usize,
    },
    /// A width of 0, or one at which int32 sums could overflow.
    Width {
        /// The array.
        argument: &'static str,
        /// Its width.
        width: usize,
    },
    /// More rows than u32 row numbers.
    TooManyRows {
        /// The array.
        argument: &'static str,
        /// Its rows.
        rows: usize,
    },
    /// An array has the wrong length.
    Length {
        /// The array.
        argument: &'static str,
        /// The length that the other arguments imply.
        expected: usize,
        /// The length it has.
        got: usize,
    },
    /// CSR offsets that do not start at 0, decrease, or do not end at the number of entries.
    RaggedCsr {
        /// The CSR argument.
        argument: &'static str,
        /// The first row whose offsets are wrong.
        row: usize,
    },
    /// CSR entries of one row that are not strictly ascending.
    UnsortedCsr {
        /// The CSR argument.
        argument: &'static str,
        /// The first such row.
        row: usize,
    },
    /// A row number outside its array.
    RowOutOfRange {
        /// The argument that holds the number.
        argument: &'static str,
        /// The number.
        row: i64,
        /// Number of rows of that array.
        rows: usize,
    },
    /// A value breaks its rule.
    Value {
        /// The argument.
        argument: &'static str,
        /// The rule, as the end of "must be ...".
        rule: &'static str,
        /// The value received.
        got: String,
    },
    /// A canonical score lies outside its certified interval: the corpus is not the one that was packed.
    CorpusChanged {
        /// The document row.
        row: usize,
    },
    /// The work cannot be done within the memory limit.
    MemoryLimit {
        /// Bytes that the smallest plan needs.
        needed: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The result does not fit in memory.
    OutOfMemory {
        /// The argument that sets its size.
        argument: &'static str,
        /// Entries of the result.
        entries: u128,
        /// What to do instead.
        instead: &'static str,
    },
    /// The system refused memory for results or for the work on them.
    Allocation {
        /// Bytes asked for.
        bytes: usize,
    },
    /// The system refused to read or write a file.
    File {
        /// The file.
        file: String,
        /// The system's number of the error, if it has one.
        code: Option<i32>,
        /// What the system says.
        cause: String,
    },
    /// A file is shorter than its own header says.
    FileCut {
        /// The file.
        file: String,
        /// Both lengths.
        change: String,
    },
    /// A file is not the one that was opened.
    FileChanged {
        /// The file.
        file: String,
        /// What changed.
        change: String,
    },
    /// A file does not hold the bytes that were written.
    Damaged {
        /// The file.
        file: String,
        /// What to do.
        advice: &'static str,
    },
    /// The caller asked to stop.
    Interrupted,
}

impl Error {
    /// The error of the system for a file.
    #[must_use]
    pub fn of_file(path: &str, error: &std::io::Error) -> Self {
        Self::File { file: path.to_owned(), code: error.raw_os_error(), cause: error.to_string() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NonFinite { argument, row, column } => {
                write!(f, "`{argument}` must be finite; row {row} holds NaN or infinity at column {column}.")
            }
            Self::BeyondFloat32 { argument, row, column } => write!(
                f,
                "`{argument}` must fit float32, to which float64 is rounded; row {row} overflows at column {column}."
            ),
            Self::WidthMismatch { queries, corpus } => write!(
                f,
                "`queries` must be as wide as the corpus; got width {queries} against corpus width {corpus}."
            ),
            Self::Width { argument, width } => {
                write!(
                    f,
                    "`{argument}` must be between 1 and {} wide; got width {width}.",
                    super::limits::MAX_WIDTH
                )
            }
            Self::TooManyRows { argument, rows } => {
                write!(f, "`{argument}` must have at most {} rows; got {rows}.", super::limits::MAX_ROWS)
            }
            Self::Length { argument, expected, got } => {
                write!(f, "`{argument}` must have length {expected}; got {got}.")
            }
            Self::RaggedCsr { argument, row } => write!(
                f,
                "`{argument}` must have offsets that start at 0, never fall, and end at the number of entries; got row {row} that does not."
            ),
            Self::UnsortedCsr { argument, row } => write!(
                f,
                "`{argument}` must hold strictly ascending row numbers per query; got row {row} unsorted or with repeats."
            ),
            Self::RowOutOfRange { argument, row, rows } => {
                write!(f, "`{argument}` must hold row numbers below {rows}; got {row}.")
            }
            Self::Value { argument, rule, got } => write!(f, "`{argument}` must be {rule}; got {got}."),
            Self::CorpusChanged { row } => write!(
                f,
                "`corpus` must stay as it was when the index was built; document row {row} has changed. Build the index again."
            ),
            Self::MemoryLimit { needed, limit } => {
                write!(f, "`memory_limit` must be at least {needed} bytes for this work; got {limit}.")
            }
            Self::OutOfMemory { argument, entries, instead } => write!(
                f,
                "`{argument}` must give a result that fits in memory; got one of {entries} entries. {instead}"
            ),
            Self::Allocation { bytes } => write!(
                f,
                "the results of this call must fit in memory; an allocation of {bytes} bytes failed. Ask for fewer results, or for fewer queries at a time."
            ),
            Self::File { file, cause, .. } => write!(f, "{file}: {cause}"),
            Self::FileCut { file, change } => {
                write!(f, "`shards` must be whole files; {file} was cut: {change}.")
            }
            Self::FileChanged { file, change } => write!(
                f,
                "`shards` must stay as they were when they were packed; shard {file} has changed: {change}. Build the index again."
            ),
            Self::Damaged { file, advice } => write!(f, "corrupt: checksum mismatch in {file}. {advice}"),
            Self::Interrupted => f.write_str("interrupted"),
        }
    }
}

impl std::error::Error for Error {}

/// Validates that an array has the length that the other arguments imply.
///
/// # Errors
/// Returns [`Error::Length`].
pub fn check_length(argument: &'static str, expected: usize, got: usize) -> Result<()> {
    if expected == got { Ok(()) } else { Err(Error::Length { argument, expected, got }) }
}

/// An empty vector with the capacity for a result; returns an error, instead of aborting the process, if memory is
/// short.
pub(crate) fn try_with_capacity<T>(
    argument: &'static str,
    entries: u128,
    instead: &'static str,
) -> Result<Vec<T>> {
    let mut out = Vec::new();
    let reserved = usize::try_from(entries).map(|entries| out.try_reserve_exact(entries));
    if matches!(reserved, Ok(Ok(()))) {
        Ok(out)
    } else {
        Err(Error::OutOfMemory { argument, entries, instead })
    }
}
