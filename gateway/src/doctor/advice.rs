//! From what a backend said to what an operator can do about it. Pure.

use goma_common::{Code, Error};

use super::report::Step;

/// What to change when a step failed so.
pub(super) fn advice(step: Step, error: &Error) -> String {
    match step {
        Step::Configuration => "Correct the flag that is named.".to_owned(),
        Step::Resolution => "Nobody knows that name: look for a slip in --remoteexec-addr, and at \
                             the DNS of this machine."
            .to_owned(),
        Step::Connection => connection(error),
        Step::Encryption => encryption(&error.message),
        Step::Capabilities => capabilities(error),
        Step::ActionCache if error.code == Code::PermissionDenied => {
            "These credentials may not read the action cache: without it nothing is ever a hit. \
             Give them read access."
                .to_owned()
        }
        Step::Execution => execution(error),
        Step::Presence | Step::Write | Step::Read | Step::Stream | Step::ActionCache => {
            storage(step, error)
        }
    }
}

fn connection(error: &Error) -> String {
    match error.code {
        Code::DeadlineExceeded => "No answer at all: a firewall drops what is sent there, or the \
                                   machine is down."
            .to_owned(),
        _ => "Nobody listens there: is the port right, and the backend running?".to_owned(),
    }
}

fn encryption(said: &str) -> String {
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if has(&["NotValidForName", "not valid for name"]) {
        "The certificate bears another name than --remoteexec-addr: use the name that it bears, or \
         say it by --remote-server-name."
    } else if has(&["Expired", "expired", "NotValidYet", "not valid yet"]) {
        "The certificate's time is over or has not come: renew it, or set this machine's clock."
    } else if has(&["UnknownIssuer", "CaUsedAsEndEntity", "invalid peer certificate"]) {
        "Nobody whom this machine trusts has signed the certificate: name the authority by \
         --additional-tls-certificate or --remote-ca-certificates."
    } else if has(&["CertificateRequired", "certificate required", "BadCertificate", "UnknownCA"]) {
        "It wants a certificate of ours that it trusts: --remote-client-certificate and \
         --remote-client-key."
    } else if has(&["InvalidContentType", "corrupt message", "record overflow"]) {
        "It does not speak TLS on that port: take the port that does, or say \
         --insecure-remoteexec where nobody else listens."
    } else {
        "TLS could not be agreed on: what is said above is all that is known."
    }
    .to_owned()
}

fn capabilities(error: &Error) -> String {
    let said = error.message.as_str();
    match error.code {
        Code::Unauthenticated => {
            "It wants to know who asks: --remote-token-file, --remote-header x-api-key=... or \
             --remote-header-file, or a client certificate; and not one that has run out."
        }
        Code::PermissionDenied => {
            "It knows these credentials, and they may not use this instance: give them access, or \
             take the right ones."
        }
        Code::NotFound | Code::InvalidArgument => {
            "It has no such instance: --remote-instance-name is what its operator calls it; many \
             have one with an empty name."
        }
        Code::Unimplemented if said.contains("SHA-256") => {
            "Set the backend to SHA-256: Goma clients know no other."
        }
        Code::Unimplemented if said.contains("does not execute") => {
            "That is a cache without workers: name the address of the one that executes, or switch \
             execution on there."
        }
        Code::Unimplemented => {
            "Something else serves gRPC there: --remoteexec-addr is to be a Remote Execution API \
             server, version 2."
        }
        Code::DeadlineExceeded => {
            "It took the connection and does not answer: the backend hangs, or what stands before \
             it does."
        }
        _ if encrypted_there(said) => {
            "It wants TLS: leave out --insecure-remoteexec, or take its port without."
        }
        _ if certificate(said) => return encryption(said),
        _ => {
            "What listens there does not speak gRPC, or what stands before it cannot pass it on: is \
             it the right port?"
        }
    }
    .to_owned()
}

/// Set by the visit, which has tried it.
pub(super) const SPEAKS_TLS: &str = "it speaks TLS";

fn encrypted_there(said: &str) -> bool {
    said.contains(SPEAKS_TLS)
}

/// With TLS 1.3 a certificate that the other side wants is asked for after we took the connection
/// for made.
fn certificate(said: &str) -> bool {
    ["ertificateRequired", "certificate required", "alert"].iter().any(|word| said.contains(word))
}

fn storage(step: Step, error: &Error) -> String {
    let what = match step {
        Step::Write => "write to its CAS",
        Step::Stream => "use ByteStream",
        _ => "read from its CAS",
    };
    match error.code {
        Code::Unauthenticated | Code::PermissionDenied => format!(
            "These credentials may not {what}: give them the right to, in the configuration of the \
             backend."
        ),
        Code::ResourceExhausted => {
            "It is full, or takes less in a message: make room there, or say what it takes by \
             --backend-batch-bytes or --backend-preset."
                .to_owned()
        }
        Code::Unimplemented => format!(
            "It cannot {what}: is every service of the backend at that address? Some have one for \
             the CAS and another for execution; put a proxy before both."
        ),
        Code::DataLoss => {
            "What it gives is not what it was given: its storage is broken, or what stands before \
             it changes contents."
                .to_owned()
        }
        Code::NotFound => {
            "What was just written is gone: its storage is too small, or its machines do not share \
             one."
                .to_owned()
        }
        Code::DeadlineExceeded => {
            format!("It does not answer when asked to {what}: its storage hangs.")
        }
        _ => format!("It failed to {what}: its own log tells why."),
    }
}

fn execution(error: &Error) -> String {
    match error.code {
        Code::DeadlineExceeded if error.message.contains("no worker took") => {
            "It waited in the queue: no worker has all of the properties that are printed above. \
             Compare them with the workers' (each by letter: OSFamily is Linux for some and linux \
             for others; container-image is known to few): --platform-property, \
             --platform-container-image, --backend-preset. Or all workers are busy or away."
        }
        Code::DeadlineExceeded => {
            "It was taken and did not end: workers are away, or none has the properties that are \
             printed above, and the backend does not tell. --execution-patience waits for longer."
        }
        Code::InvalidArgument => {
            "It will not run such an action; its words above tell which property or field."
        }
        Code::PermissionDenied | Code::Unauthenticated => {
            "These credentials may read and write, but not execute: give them the right to."
        }
        Code::MissingBlobs => {
            "Its workers do not find what was written: they read from another CAS, or from another \
             instance of it."
        }
        Code::Unimplemented => "It executes nothing: name the address of one that does.",
        Code::NotFound => "What the command wrote is not in the CAS: workers and CAS are apart.",
        _ => {
            "A worker tried and failed: it may lack /bin/sh, its sandbox (bwrap for buildbox) or \
             the container image. Its own log tells why."
        }
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_of_every_step_has_words() {
        let steps = [
            Step::Configuration,
            Step::Resolution,
            Step::Connection,
            Step::Encryption,
            Step::Capabilities,
            Step::Presence,
            Step::Write,
            Step::Read,
            Step::Stream,
            Step::ActionCache,
            Step::Execution,
        ];
        let codes = [Code::Unauthenticated, Code::Internal, Code::NotFound, Code::DeadlineExceeded];
        for step in steps {
            for code in codes {
                let words = advice(step, &Error::new(code, "no"));
                assert!(
                    words.ends_with(['.', '?']) && words.len() > 30,
                    "{step:?} {code:?}: {words}"
                );
            }
        }
    }
}
