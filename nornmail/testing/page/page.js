"use strict";

// What is shown: a place ({outbox: true}, {transcript: true} or {user, mailbox}), a message, a tab.
const starts = { "#outbox": { outbox: true }, "#transcript": { transcript: true } };
const shown = { place: starts[location.hash] || null, message: null, tab: null };
const element = id => document.getElementById(id);

function make(name, text = "", options = {}) {
  const made = document.createElement(name);
  made.textContent = text;
  return Object.assign(made, options);
}

async function ask(path, values = {}, method = "GET") {
  const query = new URLSearchParams(values).toString();
  const response = await fetch(path + (query ? `?${query}` : ""), { method });
  if (!response.ok) throw new Error((await response.json()).error);
  return response.json();
}

const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

function choose(place, message = null) {
  Object.assign(shown, { place, message, tab: null });
  refresh();
}

async function showPlaces() {
  const [ready, { mailboxes }, { messages }, faults] = await Promise.all([
    ask("/readyz"), ask("/api/mailboxes"), ask("/api/outbox"), ask("/api/faults"),
  ]);
  element("addresses").textContent = `${ready.imap}  ${ready.smtp}`;
  const waiting = faults.pending.length;
  element("faults").textContent = waiting ? `${waiting} fault${waiting > 1 ? "s" : ""} pending` : "";
  element("faults").title = faults.pending.join("\n");
  const first = mailboxes.find(box => box.messages) || mailboxes[0];
  shown.place ??= first ? { user: first.user, mailbox: first.name } : { outbox: true };
  const entries = [make("h2", "Server")];
  const add = (title, place, count = "") => {
    const button = make("button", "", { type: "button", onclick: () => choose(place) });
    button.append(make("span", title), make("small", count));
    button.setAttribute("aria-pressed", same(place, shown.place));
    entries.push(button);
  };
  add("Outbox", { outbox: true }, messages.length || "");
  add("Transcript", { transcript: true });
  let user = null;
  for (const box of mailboxes) {
    if (box.user !== user) entries.push(make("h2", box.user));
    user = box.user;
    add(box.name, { user, mailbox: box.name }, box.messages || "");
  }
  element("places").replaceChildren(...entries);
}

async function showList() {
  const { place } = shown;
  document.querySelector("main").classList.toggle("transcript", Boolean(place.transcript));
  if (place.transcript) return element("list").replaceChildren();
  const { messages } = await ask(place.outbox ? "/api/outbox" : "/api/messages", place.outbox ? {} : place);
  const entries = messages.reverse().map(message => {
    const key = place.outbox ? { outbox: message.number } : { ...place, uid: message.uid };
    shown.message ??= key;
    const button = make("button", "", { type: "button", onclick: () => choose(place, key) });
    const seen = place.outbox || message.flags.includes("\\Seen");
    button.append(
      make("b", message.subject || "(no subject)", { className: seen ? "seen" : "" }),
      make("span", place.outbox ? `to ${message.rcpt_tos.join(", ")}` : message.from),
      make("span", [new Date(message.received).toLocaleTimeString(), ...(message.flags || [])].join("  ")),
    );
    button.setAttribute("aria-pressed", same(key, shown.message));
    return button;
  });
  element("list").replaceChildren(...(entries.length ? entries : [make("p", "No messages.", { className: "empty" })]));
}

async function showTranscript() {
  const { lines } = await ask("/api/transcript");
  const text = make("pre", "", { className: "lines" });
  for (const line of lines) {
    const speaker = /^\[[^\]]*\] ([CS-]):/.exec(line);
    text.append(make("span", line, { className: speaker && speaker[1] !== "-" ? speaker[1] : "end" }));
  }
  element("message").replaceChildren(text);
  text.scrollTop = text.scrollHeight;
}

async function showMessage() {
  if (shown.place.transcript) return showTranscript();
  if (!shown.message) return element("message").replaceChildren();
  const message = await ask("/api/message", shown.message);
  const query = new URLSearchParams(shown.message).toString();
  const facts = make("dl");
  for (const name of ["from", "to", "date"]) facts.append(make("dt", name), make("dd", message[name]));
  const tabs = make("div", "", { className: "tabs" });
  const views = [
    message.has_html && ["HTML", () => {
      // A sandbox without any permission; the response forbids scripts and the network as well.
      const frame = make("iframe", "", { src: `/api/message/html?${query}`, title: "HTML" });
      frame.setAttribute("sandbox", "");
      return frame;
    }],
    (message.text || !message.has_html) && ["Text", () => make("pre", message.text)],
    ["Headers", () => make("pre", message.headers.map(header => header.join(": ")).join("\n"))],
    ["Source", () => {
      const source = make("pre", "…");
      fetch(`/api/message/raw?${query}`).then(response => response.text())
        .then(text => { source.textContent = text; });
      return source;
    }],
  ].filter(Boolean);
  shown.tab ??= views[0][0];
  for (const [name] of views) {
    const button = make("button", name, { type: "button", onclick: () => { shown.tab = name; showMessage(); } });
    button.setAttribute("aria-pressed", name === shown.tab);
    tabs.append(button);
  }
  message.attachments.forEach((part, number) => {
    const link = `/api/message/attachment?${query}&number=${number}`;
    tabs.append(make("a", `${part.name} (${part.size})`, { href: link }));
  });
  const view = (views.find(([name]) => name === shown.tab) || views[0])[1]();
  element("message").replaceChildren(make("h2", message.subject || "(no subject)"), facts, tabs, view);
}

async function refresh() {
  await showPlaces();
  await showList();
  await showMessage();
}

async function follow() {
  let last = 0;
  for (;;) {
    try {
      const { changes } = await ask("/api/changes", { after: last });
      if (changes !== last) {
        last = changes;
        await showPlaces();
        const before = shown.message;
        await showList();
        if (shown.place.transcript || !same(before, shown.message)) await showMessage();
      }
    } catch (error) {
      element("addresses").textContent = `The server does not answer: ${error.message}`;
    }
    await new Promise(done => setTimeout(done, 400));
  }
}

element("reset").onclick = async () => {
  await ask("/api/reset", {}, "POST");
  choose(null);
};
follow();
