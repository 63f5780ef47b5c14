//! Ctrl-C, as a moment to stop and tell what there is so far.

/// Ends at a ctrl-C. One that comes before this is waited for ends the program.
pub(crate) async fn interrupt() {
    // Without a way to hear of ctrl-C, ctrl-C ends the program itself.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
