//! Hints about parts of a file that will be read soon (Linux; elsewhere they do nothing).

use std::fs::File;

/// Asks the system to read a part of a file into its cache, without waiting for it. A disk answers several such requests
/// at the same time, but only one read of a thread.
pub fn will_need(file: &File, offset: u64, bytes: usize) {
    #[cfg(target_os = "linux")]
    {
        use std::os::fd::AsRawFd;
        let (Ok(offset), Ok(bytes)) = (offset.try_into(), bytes.try_into()) else { return };
        // SAFETY: the descriptor is open for as long as `file` is borrowed, and the call touches no memory.
        let _ = unsafe { libc::posix_fadvise(file.as_raw_fd(), offset, bytes, libc::POSIX_FADV_WILLNEED) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (file, offset, bytes);
}
