//! What a scripted server does wrong, and what it was asked.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderMap;
use tokio::time::Instant;
use tonic::Status;

/// What becomes of one call.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It fails so.
    Fails(Status),
    /// It is taken, and never answered.
    IsSilent,
    /// It is served after this.
    IsLate(Duration),
}

type Wanted = dyn Fn(&HeaderMap) -> bool + Send;

/// Shared by a server and the test that scripts it; a clone is the same one. Methods are named as in
/// the protocol, such as `FindMissingBlobs`.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    next: HashMap<String, VecDeque<Fault>>,
    always: HashMap<String, Fault>,
    every: Option<Fault>,
    share: f64,
    wanted: Option<Box<Wanted>>,
    calls: Vec<(Instant, String)>,
}

impl Faults {
    /// The next call of a method that has no fault yet has this one.
    pub fn next(&self, method: &str, fault: Fault) {
        self.state().next.entry(method.to_owned()).or_default().push_back(fault);
    }

    /// Every further call of a method has this one.
    pub fn always(&self, method: &str, fault: Fault) {
        self.state().always.insert(method.to_owned(), fault);
    }

    /// This share of all calls, of any method, has this one.
    pub fn some(&self, share: f64, fault: Fault) {
        let mut state = self.state();
        (state.share, state.every) = (share, Some(fault));
    }

    /// Nothing is wrong any more.
    pub fn end(&self) {
        let mut state = self.state();
        *state = State { calls: std::mem::take(&mut state.calls), ..State::default() };
    }

    /// Calls whose headers are not like that are refused as `UNAUTHENTICATED`.
    pub fn want(&self, headers: impl Fn(&HeaderMap) -> bool + Send + 'static) {
        self.state().wanted = Some(Box::new(headers));
    }

    /// Calls of a method so far.
    #[must_use]
    pub fn calls(&self, method: &str) -> usize {
        self.state().calls.iter().filter(|(_, called)| called == method).count()
    }

    /// When each call of any method came.
    #[must_use]
    pub fn times(&self) -> Vec<Instant> {
        self.state().calls.iter().map(|(at, _)| *at).collect()
    }

    /// Counts a call, and says what becomes of it.
    pub(super) fn meet(&self, method: &str, headers: &HeaderMap) -> Option<Fault> {
        let mut state = self.state();
        state.calls.push((Instant::now(), method.to_owned()));
        if state.wanted.as_ref().is_some_and(|wanted| !wanted(headers)) {
            return Some(Fault::Fails(Status::unauthenticated("who are you?")));
        }
        if let Some(fault) = state.next.get_mut(method).and_then(VecDeque::pop_front) {
            return Some(fault);
        }
        if let Some(fault) = state.always.get(method) {
            return Some(fault.clone());
        }
        (fastrand::f64() < state.share).then(|| state.every.clone()).flatten()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
