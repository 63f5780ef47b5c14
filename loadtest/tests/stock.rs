//! The stock client's traps and tempers, and how the polite client differs.

mod support;

use goma_proto::api::exec_resp::ExecError;
use goma_proto::api::{ExecResp, ExecResult};
use support::{Fake, Framing, Tree, Turn, assert_success, padding};

#[tokio::test]
async fn a_lone_5xx_fails_the_stock_client_and_not_the_polite_one() {
    let (fake, tree) = (Fake::start().await, Tree::new());
    fake.script([Turn::Status(503)]);
    let outcome = fake.client(true).compile(tree.compile()).await;
    assert_eq!(outcome.attempts, 1);
    let failure = outcome.failure.expect("failed");
    assert!(failure.starts_with("http status 503: busy (unhealthy"), "{failure}");
    fake.script([Turn::Status(503)]);
    let outcome = fake.client(false).compile(tree.compile()).await;
    assert_success(&outcome);
    assert_eq!(outcome.http_failures.len(), 1);
}

#[tokio::test]
async fn a_5xx_amid_good_answers_is_retried() {
    let (fake, tree) = (Fake::start().await, Tree::new());
    let client = fake.client(true);
    for _ in 0..4 {
        assert_success(&client.compile(tree.compile()).await);
    }
    fake.script([Turn::Status(500)]);
    let outcome = client.compile(tree.compile()).await;
    assert_success(&outcome);
    assert_eq!(outcome.attempts, 2);
    let requests = fake.execs();
    let retry = requests.last().and_then(|r| r.requester_info.clone()).expect("set").retry();
    assert_eq!(retry, 1);
}

#[tokio::test]
async fn a_4xx_and_a_close_are_never_retried() {
    let (fake, tree) = (Fake::start().await, Tree::new());
    let client = fake.client(true);
    for _ in 0..8 {
        assert_success(&client.compile(tree.compile()).await);
    }
    for turn in [Turn::Hang, Turn::Status(429)] {
        fake.script([turn.clone()]);
        let outcome = client.compile(tree.compile()).await;
        assert_eq!(outcome.attempts, 1, "{turn:?}");
        let failure = outcome.failure.expect("failed");
        assert!(failure.ends_with("(such a failure is never retried)"), "{failure}");
    }
}

#[tokio::test]
async fn a_cut_body_and_no_message_are_retried_while_healthy() {
    let (fake, tree) = (Fake::start().await, Tree::new());
    let client = fake.client(true);
    assert_success(&client.compile(tree.compile()).await);
    for turn in [Turn::Cut, Turn::Garbage] {
        fake.script([turn]);
        let outcome = client.compile(tree.compile()).await;
        assert_success(&outcome);
        assert_eq!(outcome.attempts, 2);
    }
}

#[tokio::test]
async fn a_401_switches_remote_off() {
    let (fake, tree) = (Fake::start().await, Tree::new());
    let client = fake.client(true);
    fake.script([Turn::Status(401)]);
    assert!(client.compile(tree.compile()).await.failure.is_some());
    let outcome = client.compile(tree.compile()).await;
    assert_eq!(outcome.attempts, 0);
    assert!(outcome.failure.expect("failed").starts_with("remote is switched off"));
    assert_eq!(fake.seen("/e").len(), 1);
}

#[tokio::test]
async fn head_and_body_leave_apart_and_wait_for_each_other() {
    let (fake, tree) = (Fake::start().await, Tree::new());
    let polite = fake.client(false);
    for _ in 0..3 {
        assert_success(&polite.compile(tree.compile()).await);
    }
    assert!(fake.seen("/e").iter().all(|seen| seen.with_head > 0), "one write");
    let stock = fake.client(true);
    for _ in 0..3 {
        assert_success(&stock.compile(tree.compile()).await);
    }
    // Whether the kernel delays the ACK that the body waits for is its own choice each time.
    assert!(fake.seen("/e").iter().any(|seen| seen.with_head == 0), "two writes");
}

#[tokio::test]
async fn a_ping_that_is_refused_does_so_from_the_start() {
    let (fake, tree) = (Fake::start().await, Tree::new());
    fake.set(|habits| habits.ping = 403);
    assert!(fake.client(true).compile(tree.compile()).await.failure.is_some());
    assert!(fake.seen("/e").is_empty());
}

#[tokio::test]
async fn an_idle_connection_is_reused_unchecked() {
    let (fake, tree) = (Fake::start().await, Tree::new());
    let (stock, polite) = (fake.client(true), fake.client(false));
    for client in [&stock, &polite] {
        assert_success(&client.compile(tree.compile()).await);
    }
    let connections: std::collections::HashSet<usize> =
        fake.seen("/e").iter().map(|seen| seen.connection).collect();
    assert_eq!(connections.len(), 2, "one for each client");

    // The answers of these leave a connection that the server has closed, without saying so.
    fake.set(|habits| habits.close_silently = true);
    assert_success(&polite.compile(tree.compile()).await);
    assert_success(&polite.compile(tree.compile()).await);
    // One good answer and then this: half of the last requests failed, so there is no retry.
    let stock = fake.client_with(true, |config| config.ping = false);
    assert_success(&stock.compile(tree.compile()).await);
    let outcome = stock.compile(tree.compile()).await;
    assert!(outcome.failure.is_some(), "written to a dead connection: {outcome:?}");
}

#[tokio::test]
async fn more_than_half_missing_makes_the_whole_client_embed() {
    let (fake, tree) = (Fake::start().await, Tree::new());
    tree.write("b.c", &format!("int b;\n{}", padding(600)));
    tree.write("c.c", &format!("int c;\n{}", padding(600)));
    let client = fake.client(true);
    let other = |name: &str| tree.command(&format!("gcc -nostdinc -c {name}.c -o obj/{name}.o"));
    assert_success(&client.compile(tree.compile()).await);
    assert!(client.embeds_everything());

    // Old and never asked for, yet embedded; and since nothing was missing, the mode ends.
    let outcome = client.compile(other("b")).await;
    assert_eq!((outcome.attempts, outcome.embedded_total), (1, 1));
    assert!(!client.embeds_everything());
    let outcome = client.compile(other("c")).await;
    assert_eq!((outcome.attempts, outcome.missing_total), (2, 1));
}

#[tokio::test]
async fn five_attempts_do_not_carry_six_megabytes() {
    let (fake, tree) = (Fake::start().await, Tree::new());
    let mut source = String::new();
    for i in 0..9 {
        tree.write(&format!("inc/{i}.h"), &padding(700_000 + i));
        source += &format!("#include \"{i}.h\"\n");
    }
    tree.write("a.c", &source);
    let client = fake.client(true);
    let outcome = client.compile(tree.compile()).await;
    assert_eq!(outcome.attempts, 5);
    let failure = outcome.failure.expect("failed");
    assert!(failure.ends_with("(too many attempts)"), "{failure}");
    for request in fake.execs() {
        let contents = request.input.iter().filter_map(|input| input.content.as_ref());
        let bytes: i64 = contents.map(|blob| blob.file_size()).sum();
        assert!(bytes < 1024 * 1024 + 1_400_000, "{bytes}");
    }
    // The server kept what came, so the next compile goes on from there.
    assert_success(&client.compile(tree.compile()).await);
    assert_success(&fake.client(false).compile(tree.compile()).await);
}

#[tokio::test]
async fn an_output_that_cannot_be_fetched_repeats_the_exec_without_the_cache() {
    let (fake, tree) = (Fake::start().await, Tree::new());
    fake.set(|habits| {
        habits.lookup_from = 1;
        habits.by_reference = true;
        habits.corrupt = true;
    });
    let outcome = fake.client(true).compile(tree.compile()).await;
    assert_eq!(outcome.attempts, 5);
    assert!(outcome.failure.expect("failed").starts_with("server's answer: asked for"));
    assert!(!tree.path("obj/a.o").exists());
    use goma_proto::api::exec_req::CachePolicy;
    let last = fake.execs().pop().expect("sent");
    assert_eq!(last.cache_policy(), CachePolicy::StoreOnly);
}

fn say(answer: ExecResp) -> Turn {
    Turn::Say(Box::new(answer))
}

#[tokio::test]
async fn success_without_the_object_is_told() {
    let (fake, tree) = (Fake::start().await, Tree::new());
    let result = Some(ExecResult { exit_status: Some(0), ..Default::default() });
    fake.script([say(ExecResp { result, ..Default::default() })]);
    let outcome = fake.client(true).compile(tree.compile()).await;
    assert_eq!((outcome.exit_status, outcome.exit_code()), (0, 1));
    let failure = outcome.failure.expect("failed");
    assert!(failure.starts_with("exit status 0 without the expected output obj/a.o"), "{failure}");
}

#[tokio::test]
async fn a_servers_message_is_retried_unless_it_blames_the_request() {
    let (fake, tree) = (Fake::start().await, Tree::new());
    let message = |error: Option<ExecError>| {
        say(ExecResp {
            error_message: vec!["no worker".into()],
            error: error.map(Into::into),
            ..Default::default()
        })
    };
    fake.script([message(None)]);
    let outcome = fake.client(true).compile(tree.compile()).await;
    assert_success(&outcome);
    assert_eq!(outcome.error_messages, ["no worker"]);
    fake.script([message(Some(ExecError::BadRequest))]);
    let outcome = fake.client(true).compile(tree.compile()).await;
    assert_eq!(
        (outcome.attempts, outcome.failure.as_deref()),
        (1, Some("no worker (bad request)"))
    );
}

#[tokio::test]
async fn an_answer_of_another_compiler_disables_the_one_asked_for() {
    let (fake, tree) = (Fake::start().await, Tree::new());
    let client = fake.client(true);
    assert_success(&client.compile(tree.compile()).await);
    let mut spec = fake.execs().pop().and_then(|r| r.command_spec).expect("set");
    spec.version = Some("other".into());
    let result =
        ExecResult { exit_status: Some(0), command_spec: Some(spec), ..Default::default() };
    fake.script([say(ExecResp { result: Some(result), ..Default::default() })]);
    let failure = client.compile(tree.compile()).await.failure.expect("failed");
    assert!(failure.starts_with("the server used another compiler: its version"), "{failure}");
    let outcome = client.compile(tree.compile()).await;
    assert_eq!(outcome.attempts, 0);
    assert!(outcome.failure.expect("failed").starts_with("the compiler is disabled"));
}

#[tokio::test]
async fn an_answer_until_the_end_of_the_stream_is_not_reused() {
    let (fake, tree) = (Fake::start().await, Tree::new());
    fake.set(|habits| habits.framing = Framing::Eof);
    let client = fake.client(true);
    assert_success(&client.compile(tree.compile()).await);
    assert_success(&client.compile(tree.compile()).await);
}
