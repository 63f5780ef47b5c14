//! What to do about what went wrong, by the words that tell of it.

/// Words of an error, and what to do about it; the first that fits.
const ADVICE: &[(&str, &str)] = &[
    (
        "no shard is up",
        "Start goma-shard, or see why the shards are out: their addresses are --shards or --shards-dns, \
         and their --remoteexec-addr must be the gateways'.",
    ),
    (
        "no room for another request",
        "More compiles than one gateway takes: add gateways, or raise --max-inflight-bytes where memory \
         is left.",
    ),
    (
        "no worker took the action",
        "Compare --platform-property and --platform-container-image with what the workers offer; \
         `doctor` runs an action step by step.",
    ),
    (
        "out of time",
        "The backend is slower than its time limit: see its queue, and goma_backend_call_seconds by \
         method.",
    ),
    (
        "it is away",
        "The backend is away or the address is wrong: `doctor` with the same flags says which.",
    ),
    (
        "Unauthenticated",
        "The backend does not take our credentials: --service-account-json, --remote-token-file or the \
         client certificate; `doctor` shows which are sent.",
    ),
    ("no cached result", "The client asked for cached results alone; nothing is wrong here."),
    (
        "body:",
        "What was posted is no message of a Goma client: a probe, a scanner, or a proxy that cuts bodies \
         short.",
    ),
    (
        "path of the worker",
        "This option puts a path into the result, and the backend runs compiles wherever it likes: name \
         inputs by relative paths, or use a backend for which --absolute-paths property holds.",
    ),
    (
        "toolchain",
        "The workers' compiler or headers differ from the client's: have clients send theirs \
         (GOMA_ARBITRARY_TOOLCHAIN_SUPPORT=true), or list the compiler in --exec-config-file.",
    ),
    (
        "absolute",
        "Set how absolute paths are met by --absolute-paths, or compile with relative ones.",
    ),
    (
        "did not make",
        "The compiler wrote other files than the client expects: an option names outputs that only the \
         compiler knows of. The client compiles it by itself.",
    ),
    (
        "token",
        "The user's token is not taken: see --auth and the group files, and the clock of his machine.",
    ),
];

/// For a person who reads the words of an error.
pub(crate) fn advice(why: &str) -> Option<&'static str> {
    ADVICE.iter().find(|(words, _)| why.contains(words)).map(|(_, advice)| *advice)
}
