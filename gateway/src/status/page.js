// Asks the gateway how it is and shows the answer. Every word of it is put in as text, never as markup.
"use strict";

const EVERY = 2000;
// Stages that wait for shards or the backend.
const OTHERS = ["inputs", "cached", "system", "ensure", "execute", "outputs"];
const $ = (id) => document.getElementById(id);
let before = null;
let open = null;
let tab = "recent";
let last = null;

function element(name, text, classes) {
  const made = document.createElement(name);
  if (text !== undefined && text !== null) made.textContent = text;
  if (classes) made.className = classes;
  return made;
}

function within(parent, ...children) {
  parent.append(...children);
  return parent;
}

const whole = new Intl.NumberFormat("en");
const count = (number) => whole.format(Math.round(number));
const share = (part, all) => (all > 0 ? (100 * part / all).toFixed(1) + " %" : "\u2013");

function bytes(number) {
  for (const unit of ["B", "KB", "MB", "GB", "TB"]) {
    if (number < 1000 || unit === "TB") return (number < 10 && unit !== "B" ? number.toFixed(1) : count(number)) + " " + unit;
    number /= 1000;
  }
}

function time(seconds) {
  if (seconds < 60) return seconds.toFixed(0) + " s";
  if (seconds < 3600) return (seconds / 60).toFixed(0) + " min";
  if (seconds < 86400) return (seconds / 3600).toFixed(1) + " h";
  return (seconds / 86400).toFixed(1) + " days";
}

const millis = (ms) => (ms >= 1000 ? (ms / 1000).toFixed(1) + " s" : (ms < 10 ? ms.toFixed(2) : ms.toFixed(0)) + " ms");
const clock = (when) => new Date(when * 1000).toLocaleTimeString();
const colour = { hit: "good", ran: "", done: "", missing: "soft", left: "warn", refused: "warn", failed: "bad", denied: "bad" };

function replace(id, ...children) {
  // Whoever has something in focus keeps it there.
  const holder = $(id);
  const focused = holder.contains(document.activeElement) && document.activeElement.dataset.key;
  holder.replaceChildren(...children);
  if (focused) {
    const again = [...holder.querySelectorAll("[data-key]")].find((one) => one.dataset.key === focused);
    if (again) again.focus();
  }
}

const tile = (name, value, classes) => within(element("div"), element("dt", name), element("dd", value, classes));

function rates(now) {
  const { totals } = now;
  const seconds = before ? now.now - before.now : 0;
  const rate = (name) => (seconds > 0 ? Math.max(0, totals[name] - before.totals[name]) / seconds : null);
  const perSecond = (value) => (value === null ? "\u2026" : value.toFixed(1) + " /s");
  const lately = (name) => (before ? totals[name] - before.totals[name] : 0);
  replace("tiles",
    tile("Requests", perSecond(rate("requests"))),
    tile("Compiles", perSecond(rate("compiles"))),
    tile("Mean time of a request", lately("requests") > 0 ? millis(1000 * lately("seconds") / lately("requests")) : "\u2013"),
    tile("Compiles from the cache", share(lately("hits"), lately("compiles"))));
}

function sums(now) {
  const { totals } = now;
  const turnedAway = totals.refused + totals.denied;
  $("since").textContent = "Since this gateway started, " + time(now.now - now.started) + " ago";
  replace("sums",
    tile("Requests", count(totals.requests)),
    tile("Compiles", count(totals.compiles)),
    tile("Compiles from the cache", share(totals.hits, totals.compiles)),
    tile("Requests failed", count(totals.failed), totals.failed ? "bad" : "good"),
    tile("Refused or denied", count(turnedAway), turnedAway ? "warn" : "good"),
    tile("Received", bytes(totals.received)),
    tile("Sent", bytes(totals.sent)));
}

function card(title, up, lines) {
  const made = element("div", null, "card");
  made.dataset.up = up;
  const heading = element("h3", (up ? "\u25cf " : "\u25a0 ") + title + (up ? "" : " \u2013 away"), up ? "good" : "bad");
  return within(made, heading, ...lines.filter(Boolean).map((line) => element("p", line)));
}

function topology(now) {
  const { backend, ring, shards } = now.topology;
  const cards = [card("Backend " + (backend.told || ""), backend.up, [backend.why])];
  const up = shards.filter((shard) => shard.up);
  if (ring !== null) {
    const version = "version " + ring.toString(16).padStart(8, "0") + ", the same at all gateways that see the same shards";
    cards.push(card("Ring", up.length > 0, [up.length + " of " + shards.length + " shards are up", version]));
  }
  const stored = up.filter((shard) => shard.facts === "redis");
  if (stored.length) {
    const out = stored.filter((shard) => shard.facts_trouble);
    const told = out.map((shard) => "does not answer " + shard.name + ": " + shard.facts_trouble);
    cards.push(card("Redis", !out.length, out.length ? told : ["answers all shards that are up"]));
  }
  for (const shard of shards) {
    const sums = shard.counts;
    const then = before && before.topology.shards.find((other) => other.name === shard.name);
    const rate = (name) => (then && then.up && then.uptime < shard.uptime ? (sums[name] - then.counts[name]) / (shard.uptime - then.uptime) : 0).toFixed(1) + " /s";
    const lines = shard.up ? [
      shard.why,
      shard.breaker_open && "presence is not believed at the moment: the backend lost blobs",
      "up for " + time(shard.uptime) + ", facts in " + shard.facts + ", weight " + shard.weight,
      sums.keys !== undefined && count(sums.keys) + " file keys asked, " + rate("keys") + ", " + share(sums.known_keys, sums.keys) + " known",
      sums.blobs !== undefined && count(sums.blobs) + " blobs wanted, " + rate("blobs") + ", " + share(sums.believed_blobs, sums.blobs) + " without asking the backend",
      sums.uploads !== undefined && count(sums.uploads) + " uploads, " + bytes(sums.uploaded_bytes) + ", " + count(sums.false_positives) + " false positives",
    ] : [shard.why];
    cards.push(card("Shard " + shard.name, shard.up, lines));
  }
  replace("topology", ...cards);
}

function problems(now) {
  if (!now.problems.length) return replace("problems", element("p", "None since this gateway started.", "soft"));
  const table = rows(["Times", "Last", "What", "What to do"], now.problems.map((problem) => {
    const what = element("td", null, "name");
    const button = element("button", problem.outcome + ": " + problem.why, colour[problem.outcome]);
    button.dataset.key = "problem" + problem.request;
    button.onclick = () => { choose("wrong"); open = problem.request; show(); $("list").scrollIntoView(); };
    return [count(problem.count), element("td", clock(problem.last), "time"), within(what, button), element("td", problem.advice || "The log has the whole story.", "name")];
  }));
  replace("problems", within(element("div", null, "scroll"), table));
}

function rows(names, lines, wide = []) {
  const table = element("table");
  const cell = (made, at) => { if (wide.includes(at)) made.classList.add("wide"); return made; };
  const head = within(element("tr"), ...names.map((name, at) => cell(element("th", name), at)));
  head.querySelectorAll("th").forEach((th) => { th.scope = "col"; });
  const body = lines.map((line) => (line instanceof Node ? line
    : within(element("tr"), ...line.map((value, at) => cell(value instanceof Node ? value : element("td", value), at)))));
  return within(table, within(element("thead"), head), within(element("tbody"), ...body));
}

function waterfall(request) {
  const fall = element("div", null, "fall");
  const all = Math.max(request.ms, 0.001);
  for (const stage of request.stages) {
    const bar = element("i", null, OTHERS.includes(stage.name) ? "theirs" : "");
    bar.style.marginLeft = 100 * stage.at_ms / all + "%";
    bar.style.width = Math.min(100, 100 * stage.ms / all) + "%";
    within(fall, element("span", stage.name), bar, element("span", millis(stage.ms)));
  }
  return fall;
}

function details(request, columns) {
  const cell = element("td");
  cell.colSpan = columns;
  if (request.why) within(cell, element("p", request.why, colour[request.outcome]));
  if (request.miss) within(cell, element("p", "Why the cache did not have it: " + request.miss.told));
  within(cell, waterfall(request), within(element("p", null, "facts"),
    within(element("span", null, "key"), element("i")), " here ", within(element("span", null, "key"), element("i", null, "theirs")), " waiting for shards or the backend"));
  const facts = [
    request.build && "build " + request.build, request.client && "client " + request.client,
    request.user && "user " + request.user, request.from && "from " + request.from,
    request.inputs + " inputs, " + request.embedded + " with contents", "received " + bytes(request.received),
    "sent " + bytes(request.sent), "HTTP " + request.http, request.retry ? "attempt " + (request.retry + 1) : null,
    request.joined ? "run by another request at the same time" : null,
    request.queue_ms !== null && "queue " + millis(request.queue_ms), request.worker_ms !== null && "worker " + millis(request.worker_ms),
    request.action && "action " + request.action, request.trace && "trace " + request.trace,
  ];
  within(cell, element("p", facts.filter(Boolean).join(" \u00b7 "), "facts"));
  return within(element("tr"), cell);
}

function requests(now) {
  const list = tab === "misses" ? now.recent.filter((request) => request.miss) : now[tab];
  if (!list.length) return replace("list", element("p", "None.", "soft"));
  const names = ["When", "What", "Outcome", "Time", "User", "Build"];
  const lines = list.slice(0, 100).flatMap((request) => {
    const button = element("button", request.output ? request.compiler + " " + request.output : request.kind);
    button.dataset.key = "request" + request.number;
    button.setAttribute("aria-expanded", open === request.number);
    button.onclick = () => { open = open === request.number ? null : request.number; show(); };
    const told = request.outcome + (request.miss ? ": " + request.miss.told : request.why ? ": " + request.why : "");
    const line = within(element("tr"), element("td", clock(request.when), "time"), within(element("td", null, "name"), button),
      element("td", told.length > 160 ? told.slice(0, 160) + "\u2026" : told, "name " + (colour[request.outcome] || "")),
      element("td", millis(request.ms), "number"), element("td", request.user, "wide"), element("td", request.build, "wide"));
    return open === request.number ? [line, details(request, names.length)] : [line];
  });
  replace("list", rows(names, lines, [4, 5]));
}

function builds(now) {
  if (!now.builds.length) return replace("builds", element("p", "None yet.", "soft"));
  const names = ["Build", "Last", "Compiles", "From the cache", "Ran", "Failed", "Sent by clients", "Spared them", "Workers' time", "Saved", "Backend calls avoided"];
  replace("builds", rows(names, now.builds.slice(0, 30).map((build) => [
    element("td", build.name || "(no name)", "name"), element("td", clock(build.last), "time"), count(build.compiles),
    count(build.hits) + " (" + share(build.hits, build.compiles) + ")", count(build.ran), count(build.failed + build.refused),
    bytes(build.received), bytes(Math.max(0, build.input_bytes - build.received)), time(build.worker_s), time(build.saved_s),
    count(build.avoided),
  ])));
}

function choose(which) {
  tab = which;
  for (const button of document.querySelectorAll("[role=tab]")) {
    const is = button.id === "tab-" + which;
    button.setAttribute("aria-selected", is);
    button.tabIndex = is ? 0 : -1;
    if (is) $("list").setAttribute("aria-labelledby", button.id);
  }
}

function show() {
  if (!last) return;
  rates(last); sums(last); topology(last); problems(last); requests(last); builds(last);
}

async function ask() {
  try {
    const answer = await fetch("status.json", { cache: "no-store" });
    if (!answer.ok) throw new Error("HTTP " + answer.status);
    const now = await answer.json();
    before = last;
    last = now;
    $("host").textContent = now.topology.host;
    const well = now.topology.backend.up && now.topology.shards.every((shard) => shard.up && !shard.facts_trouble);
    $("state").className = well ? "good" : "bad";
    const state = now.draining ? "draining" : well ? "all is up" : "something is away";
    const text = state + " \u00b7 version " + now.version;
    // Set only when it changes: it is read out.
    if ($("state").textContent !== text) $("state").textContent = text;
    show();
  } catch (error) {
    $("state").className = "bad";
    $("state").textContent = "no answer from the gateway: " + error.message;
  }
  setTimeout(ask, EVERY);
}

for (const button of document.querySelectorAll("[role=tab]")) {
  button.onclick = () => { choose(button.id.slice(4)); show(); };
  button.onkeydown = (event) => {
    const all = [...document.querySelectorAll("[role=tab]")];
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = all[(all.indexOf(button) + step + all.length) % all.length];
    choose(next.id.slice(4)); show(); next.focus();
  };
}
ask();
