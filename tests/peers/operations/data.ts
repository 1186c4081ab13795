/**
 * Messages, files, events, datagrams and streams between peers that trust each other.
 *
 * @module
 */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { finished, nodeOf, type Operation, retried, type Side, until } from "./operation.ts";

// cspell:ignore héllo

/** Ports of programs in these tests, one for each use, as a listener may end a moment later. */
let nextPort = 6_000;

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** A message of a type; its content is unique. */
function message(type: string, content: (mark: string) => string): Operation {
  return {
    name: `send-message --type ${type}`,
    run: async (from, to) => {
      const text = content(crypto.randomUUID());
      const { ack } = await from.run("send-message", nodeOf(to), "--data", text, "--type", type);
      const bytes = new TextEncoder().encode(text);
      assert.equal(ack, `ACK ${type.toUpperCase()} ${bytes.length} bytes`);
      const found = (await to.inbox()).find((record) => contentOf(record) === text);
      assert.equal(found?.["type"], type.toUpperCase());
      assert.equal(found["from"], from.agent.address);
    },
  };
}

/** Content of an inbox record, as text. */
function contentOf(record: Record<string, unknown>): string {
  const { data, data_b64 } = record as { data?: string; data_b64?: string };
  return data_b64 === undefined
    ? data ?? ""
    : new TextDecoder().decode(Uint8Array.fromBase64(data_b64));
}

/** A file of a size. */
function file(bytes: number): Operation {
  return {
    name: `send-file ${bytes} bytes`,
    run: async (from, to, world) => {
      const name = `${crypto.randomUUID()}.bin`;
      const content = new Uint8Array(bytes);
      for (let at = 0; at < bytes; at += 65_536) {
        crypto.getRandomValues(content.subarray(at, Math.min(at + 65_536, bytes)));
      }
      const path = world.path(name);
      await Deno.writeFile(path, content);
      await from.run("send-file", nodeOf(to), path);
      const stored = (await to.received()).find((other) => other.includes(name.slice(0, 36)));
      assert.ok(stored !== undefined, `${name} is not among the received`);
      const got = await Deno.readFile(join(to.agent.home, ".pilot", "received", stored));
      assert.equal(sha256(got), sha256(content));
      await Deno.remove(path);
    },
  };
}

/** Starts a receiver on a fresh port. */
function receiver(side: Side, command: string, ...options: string[]) {
  const port = `${nextPort++}`;
  return {
    port,
    running: side.begin(command, port, "--count", "1", "--timeout", "20s", ...options),
  };
}

/** All of them. */
export const DATA: readonly Operation[] = [
  message("text", (mark) => `héllo ${mark}`),
  message("json", (mark) => `{"mark":"${mark}"}`),
  message("binary", (mark) => mark),
  {
    name: "messages keep their ids (TAGGED)",
    cannot: (from) => from.cli === "ours" ? "no ids sent yet by ours (issue 14)" : undefined,
    run: async (from, to) => {
      const { message_id, tagged } = await from.run(
        ...["send-message", nodeOf(to), "--data", "tagged", "--reply-to", "some.id"],
      );
      assert.equal(tagged, true);
      const found = (await to.inbox()).find((record) => record["message_id"] === message_id);
      assert.equal(found?.["reply_to"], "some.id");
    },
  },
  {
    name: "send-message --trace",
    cannot: (from) => from.cli === "ours" ? "an option of v1.18's command line" : undefined,
    run: async (from, to) => {
      const mark = crypto.randomUUID();
      await from.run("send-message", nodeOf(to), "--data", mark, "--trace");
      assert.ok((await to.inbox()).some((record) => contentOf(record) === mark));
    },
  },
  file(1_000),
  file(5_000_000),
  {
    name: "publish, subscribe",
    run: async (from, to) => {
      const topic = `topic-${crypto.randomUUID().slice(0, 8)}`;
      const hears = from.begin("subscribe", nodeOf(to), topic, "--count", "1", "--timeout", "20s");
      // Nothing tells when it has subscribed, so it is published until it was heard.
      let isHeard = false;
      const heard = finished(hears).finally(() => isHeard = true);
      while (!isHeard) {
        await to.run("publish", nodeOf(to), topic, "--data", "news");
        await Promise.race([heard, new Promise((resolve) => setTimeout(resolve, 200))]);
      }
      assert.match(JSON.stringify(await heard), /news/);
    },
  },
  {
    name: "datagram",
    run: async (from, to) => {
      const { port, running } = receiver(to, "listen");
      const mark = crypto.randomUUID();
      let isHeard = false;
      const heard = finished(running).finally(() => isHeard = true);
      while (!isHeard) {
        await from.run("dgram", nodeOf(to), port, "--data", mark);
        await Promise.race([heard, new Promise((resolve) => setTimeout(resolve, 200))]);
      }
      assert.match(JSON.stringify(await heard), new RegExp(mark));
    },
  },
  {
    name: "stream: recv, send",
    run: async (from, to) => {
      // v1.18's send waits for an answer and does not close.
      const isOpen = to.cli === "ours" && from.cli === "v1.18";
      const { port, running } = receiver(to, "recv", ...(isOpen ? ["--end-after", "1s"] : []));
      const mark = crypto.randomUUID();
      await retried(from, ["send", nodeOf(to), port, "--data", mark]);
      assert.match(JSON.stringify(await finished(running)), new RegExp(mark));
    },
  },
  {
    name: "stream: connect to echo, by name",
    run: async (from, to) => {
      const { response } = await from.run(
        ...["connect", to.agent.name, "7", "--message", "echo me", "--timeout", "10s"],
      );
      assert.equal(response, "echo me");
    },
  },
  {
    name: "stream: a closed port is refused at once",
    run: async (from, to) => {
      const { code } = await from.fails("send", nodeOf(to), "5999", "--data", "x");
      assert.match(code, /^connection_(refused|failed)$/);
    },
  },
  {
    name: "bench 1 MiB",
    run: async (from, to) => {
      const { sent_bytes, recv_bytes } = await from.run("bench", nodeOf(to), "1");
      assert.deepEqual([sent_bytes, recv_bytes], [1 << 20, 1 << 20]);
    },
  },
  {
    name: "connections, disconnect",
    cannot: (from) => from.cli === "ours" ? "no such command in ours yet (issue 14)" : undefined,
    run: async (from, to) => {
      const topic = `quiet-${crypto.randomUUID().slice(0, 8)}`;
      const hears = from.begin("subscribe", nodeOf(to), topic, "--timeout", "60s");
      let id = 0;
      await until("the subscription is listed", async () => {
        const { connections } = await from.run("connections");
        id = connections?.find((conn: { remote_port: number; state: string }) =>
          conn.remote_port === 1002 && conn.state === "ESTABLISHED"
        )?.id ?? 0;
        return id > 0;
      });
      await from.run("disconnect", `${id}`);
      await hears.ended;
    },
  },
];
