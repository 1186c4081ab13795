import assert from "node:assert/strict";
import { Cmd, decodeDial } from "../../protocol/ipc/mod.ts";
import { PilotError } from "../../protocol/errors.ts";
import { encodeEvent } from "../../protocol/service/mod.ts";
import type { Subscription } from "../../sdk/mod.ts";
import { FakeDaemon } from "./fake_daemon.ts";
import { bytes, isPending, MODES, rejectsWith, text } from "./support.ts";
import { eventFrames, TARGET } from "./frames.ts";

for (const mode of MODES) {
  Deno.test(`Driver.publish subscribes, publishes and closes after delivery (${mode})`, async () => {
    await using daemon = new FakeDaemon(mode);
    const { driver, client } = await daemon.connect();
    const publishing = driver.publish(TARGET, "news", "it rains");
    const dial = await client.expect(Cmd.Dial);
    assert.deepEqual(decodeDial(dial.payload), { address: TARGET, port: 1002 });
    const stream = client.stream(6);
    stream.autoClose = false;
    client.answer(dial, Cmd.DialOk, Uint8Array.of(0, 0, 0, 6));
    const events = eventFrames(stream);
    assert.deepEqual(await events.next(), {
      topic: "news",
      payload: new Uint8Array(),
    });
    const event = await events.next();
    assert.equal(event.topic, "news");
    assert.equal(text(event.payload), "it rains");
    await stream.awaitClose();
    assert.ok(await isPending(publishing));
    stream.answerClose();
    await publishing;
  });

  Deno.test(`Driver.subscribe gives events until it is left (${mode})`, async () => {
    await using daemon = new FakeDaemon(mode);
    const { driver, client } = await daemon.connect();
    const opening = driver.subscribe(TARGET, "news");
    const stream = await client.acceptDial(6);
    const subscription: Subscription = await opening;
    const events = eventFrames(stream);
    assert.equal((await events.next()).topic, "news");
    const sent = encodeEvent({ topic: "news", payload: bytes("one") });
    stream.write(sent.subarray(0, 5));
    stream.write(sent.subarray(5));
    stream.write(encodeEvent({ topic: "news", payload: bytes("two") }));
    const first = await subscription.next();
    assert.equal(text(first?.payload), "one");
    await subscription.publish("other", "mine");
    assert.equal(text((await events.next()).payload), "mine");
    for await (const event of subscription) {
      assert.equal(text(event.payload), "two");
      break;
    }
    await stream.awaitClose();
    assert.equal(await subscription.next(), undefined);
  });
}

Deno.test("Subscription drops events of topics that were not subscribed, unless all were", async () => {
  for (const [topic, expected] of [["news", "wanted"], ["*", "forged"]] as const) {
    await using daemon = new FakeDaemon();
    const { driver, client } = await daemon.connect();
    const opening = driver.subscribe(TARGET, topic);
    const stream = await client.acceptDial(6);
    const subscription = await opening;
    stream.write(encodeEvent({ topic: "other", payload: bytes("forged") }));
    stream.write(encodeEvent({ topic: "news", payload: bytes("wanted") }));
    assert.equal(text((await subscription.next())?.payload), expected);
    await subscription.close();
  }
});

Deno.test("Driver.publish reports an event that was not delivered", async () => {
  await using daemon = new FakeDaemon();
  const { driver, client } = await daemon.connect();
  const failed = rejectsWith(
    driver.publish(TARGET, "news", "x", { timeoutMs: 60 }),
    "timeout",
  );
  const stream = await client.acceptDial(6);
  stream.autoClose = false;
  await stream.awaitClose();
  await failed;
  await client.expect(Cmd.CancelTag);
  await rejectsWith(
    driver.publish(TARGET, "t".repeat(1025), "x"),
    "invalid_argument",
  );
});

Deno.test("Subscription ends with protocol_error after a malformed event", async () => {
  await using daemon = new FakeDaemon();
  const { driver, client } = await daemon.connect();
  const opening = driver.subscribe(TARGET, "*");
  const stream = await client.acceptDial(6);
  const subscription = await opening;
  stream.write(Uint8Array.of(255, 255, 1, 2, 3));
  await rejectsWith(subscription.next(), "protocol_error");
  await stream.awaitClose();
  await client.expect(Cmd.CancelTag);
});

Deno.test("Subscription.next loses nothing when a wait is aborted", async () => {
  await using daemon = new FakeDaemon();
  const { driver, client } = await daemon.connect();
  const opening = driver.subscribe(TARGET, "*");
  const stream = await client.acceptDial(6);
  const subscription = await opening;
  const controller = new AbortController();
  const waiting = subscription.next({ signal: controller.signal });
  const event = encodeEvent({ topic: "t", payload: bytes("x") });
  stream.write(event.subarray(0, 4));
  assert.ok(await isPending(waiting));
  controller.abort();
  await rejectsWith(waiting, "aborted");
  stream.write(event.subarray(4));
  assert.equal(text((await subscription.next())?.payload), "x");
  stream.end();
  await rejectsWith(subscription.next(), "connection_closed");
});

Deno.test("Subscription ends with an error when the broker ends it, and without one when we do", async () => {
  await using daemon = new FakeDaemon();
  const { driver, client } = await daemon.connect();
  const opening = driver.subscribe(TARGET, "news");
  const stream = await client.acceptDial(6);
  const subscription = await opening;
  stream.write(encodeEvent({ topic: "news", payload: bytes("last") }));
  stream.end();
  const got: string[] = [];
  const reading = (async () => {
    for await (const event of subscription) got.push(text(event.payload));
  })();
  await rejectsWith(reading, "connection_closed");
  assert.deepEqual(got, ["last"]);

  const again = driver.subscribe(TARGET, "news");
  await client.acceptDial(7);
  const left = await again;
  const waiting = left.next();
  await left.close();
  assert.equal(await waiting, undefined);
});

Deno.test("Subscription with resubscribe continues when the broker is back, and reports the gap", async () => {
  await using daemon = new FakeDaemon();
  const { driver, client } = await daemon.connect();
  const told: string[] = [];
  const opening = driver.subscribe(TARGET, "news", {
    resubscribe: true,
    onInterrupted: ({ code }) => void told.push(code),
    onResumed: () => void told.push("resumed"),
  });
  const first = await client.acceptDial(6);
  const subscription = await opening;
  first.write(encodeEvent({ topic: "news", payload: bytes("one") }).subarray(0, 5)); // half an event
  first.end();
  const next = subscription.next();
  const refused = await client.expect(Cmd.Dial);
  client.fail(refused, new PilotError("connection_refused", "not yet"));
  const second = await client.acceptDial(7);
  second.write(encodeEvent({ topic: "news", payload: bytes("two") }));
  assert.equal(text((await next)?.payload), "two");
  assert.deepEqual(told, ["connection_closed", "resumed"]);

  second.end();
  const waiting = subscription.next();
  client.fail(await client.expect(Cmd.Dial), new PilotError("untrusted", "no more"));
  await rejectsWith(waiting, "untrusted");
  await subscription.close();
});

Deno.test("Subscription with resubscribe ends when it is closed while it tries again", async () => {
  await using daemon = new FakeDaemon();
  const { driver, client } = await daemon.connect();
  const opening = driver.subscribe(TARGET, "news", { resubscribe: true });
  const stream = await client.acceptDial(6);
  const subscription = await opening;
  stream.end();
  const waiting = subscription.next();
  await client.expect(Cmd.Dial);
  await subscription.close();
  assert.equal(await waiting, undefined);
});

Deno.test("Subscription with resubscribe continues when our own daemon was restarted", async () => {
  await using daemon = new FakeDaemon();
  const { driver, client } = await daemon.connect();
  const opening = driver.subscribe(TARGET, "news", { resubscribe: true });
  await client.acceptDial(6);
  const subscription = await opening;
  const next = subscription.next();
  const reconnected = daemon.nextClient();
  client.close();
  const stream = await (await reconnected).acceptDial(1);
  stream.write(encodeEvent({ topic: "news", payload: bytes("after") }));
  assert.equal(text((await next)?.payload), "after");
  await subscription.close();
});
