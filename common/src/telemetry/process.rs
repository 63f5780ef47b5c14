//! What the process takes of its machine, by the names that Prometheus' own libraries give it.

use std::time::{SystemTime, UNIX_EPOCH};

use super::metrics::meter;

/// Has it told whenever metrics are read. Linux alone tells it.
pub(super) fn start() {
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let meter = meter();
    // Each is kept by the meter.
    let _ = meter
        .f64_observable_gauge("process_start_time_seconds")
        .with_description("When the process started, in seconds since 1970")
        .with_callback(move |told| told.observe(started, &[]))
        .build();
    let _ = meter
        .u64_observable_gauge("process_resident_memory_bytes")
        .with_description("Memory that the process has in use")
        .with_callback(|told| {
            if let Some(bytes) = resident() {
                told.observe(bytes, &[]);
            }
        })
        .build();
    let _ = meter
        .u64_observable_gauge("process_open_fds")
        .with_description("Files and connections that the process has open")
        .with_callback(|told| {
            if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
                told.observe(files.count() as u64, &[]);
            }
        })
        .build();
    let _ = meter
        .f64_observable_counter("process_cpu_seconds")
        .with_description("CPU time that the process has taken")
        .with_callback(|told| told.observe(cpu(), &[]))
        .build();
}

/// Bytes, of the second field of `statm`, in pages.
fn resident() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// Seconds, of all threads.
fn cpu() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_takes_something() {
        assert!(resident().is_some_and(|bytes| bytes > 1 << 20));
        assert!(cpu() > 0.0);
    }
}
