"use strict";
// What a test-suite in JavaScript does: faults and accounts over HTTP, mail by imapflow and nodemailer.
// The arguments are the URLs of IMAP, SMTP and HTTP; the environment trusts the certificate.
const assert = require("node:assert");
const { ImapFlow } = require("imapflow");
const nodemailer = require("nodemailer");

const [imapUrl, smtpUrl, httpUrl] = process.argv.slice(2).map(text => new URL(text));

async function api(path, body) {
  const response = await fetch(new URL(path, httpUrl), body === undefined ? {} : {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  });
  const answer = await response.json();
  return response.ok ? answer : Promise.reject(new Error(answer.error));
}

const imap = () => new ImapFlow({
  host: "localhost", port: Number(imapUrl.port), secure: imapUrl.protocol === "imaps:",
  auth: { user: "agent@example.com", pass: "secret" }, logger: false,
});
const smtp = nodemailer.createTransport({
  host: "localhost", port: Number(smtpUrl.port), secure: smtpUrl.protocol === "smtps:",
  auth: { user: "kim@example.org", pass: "secret" },
});

async function main() {
  await api("/api/users", { name: "agent@example.com", password: "secret" });
  await api("/api/users", { name: "kim@example.org", password: "secret" });

  await api("/api/faults", { fault: "Answer", stage: "RCPT", code: 450, text: "4.2.0 later" });
  const mail = {
    from: "Kim <kim@example.org>", to: "agent@example.com", subject: "Wo ist die Lampe? ☀",
    text: "Hallo", html: "<b>Hallo</b>", attachments: [{ filename: "Rechnung ü.csv", content: "1;2" }],
  };
  await assert.rejects(smtp.sendMail(mail), /450 4\.2\.0 later/);
  await smtp.sendMail(mail);
  const { messages: [sent] } = await api("/api/wait", { for: "sent", to: "agent@example.com" });
  assert.strictEqual(sent.subject, mail.subject);

  const client = imap();
  await client.connect();
  const lock = await client.getMailboxLock("INBOX");
  const message = await client.fetchOne("*", { envelope: true, source: true, bodyStructure: true });
  assert.strictEqual(message.envelope.subject, mail.subject);
  assert.strictEqual(message.bodyStructure.childNodes.length, 2);
  assert.ok(message.source.includes("multipart/alternative"));
  await client.messageFlagsAdd({ uid: message.uid }, ["\\Seen"], { uid: true });
  assert.deepStrictEqual(await client.search({ seen: true }, { uid: true }), [message.uid]);
  await client.mailboxCreate("Erledigt für Kim");
  await client.append("Erledigt für Kim", "Subject: a copy\r\n\r\nx", ["\\Seen"]);
  await client.messageMove(message.uid, "Erledigt für Kim", { uid: true });
  const box = (await api("/api/mailboxes?user=agent@example.com")).mailboxes
    .find(one => one.name === "Erledigt für Kim");
  assert.strictEqual(box.messages, 2);

  const arrived = new Promise(done => client.once("exists", done));
  const idling = client.idle();
  await api("/api/wait", { for: "idle" });
  await api("/api/deliver", { user: "agent@example.com", subject: "news" });
  assert.strictEqual((await arrived).count, 1);
  lock.release();
  await client.logout();
  await idling;

  await api("/api/faults", { fault: "FetchFault", kind: "nil" });
  const other = imap();
  await other.connect();
  await other.mailboxOpen("INBOX");
  assert.ok(!(await other.fetchOne("*", { source: true })).source?.length);
  assert.strictEqual((await other.fetchOne("*", { source: true })).source.includes("news"), true);
  await other.logout();
  assert.deepStrictEqual((await api("/api/faults")).pending, []);
  console.log("all is well");
}

main().catch(error => { console.error(error); process.exitCode = 1; });
