/** The native frames of the binary mode, byte by byte, in every way: docs/protocol/registry.md §1.4. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { challenges } from "../support/challenges.ts";
import { RawClient, type TestNode } from "../support/client.ts";
import { NOBODY } from "./subject.ts";
import { inWorld, type World } from "./world.ts";

const PREAMBLE = "50494c5401";
const NOISE = "5a".repeat(64);
const TIME = Date.UTC(2026, 0, 1) / 1000;

function u32(value: number): string {
  return value.toString(16).padStart(8, "0");
}

function text(value: string, lengthBytes: number): string {
  const bytes = Buffer.from(value);
  return bytes.length.toString(16).padStart(2 * lengthBytes, "0") + bytes.toString("hex");
}

/** An error frame: its text is not masked in this mode. */
function error(value: string): string {
  return `ff${text(value, 2)}`;
}

async function sign(node: TestNode, challenge: Uint8Array): Promise<string> {
  return Buffer.from(await node.sign(challenge), "base64").toString("hex");
}

/** Sends a frame in hex, type first, and returns the reply likewise. */
async function exchange({ server }: World, frame: string): Promise<string> {
  using client = await RawClient.open(server.registryAddr);
  const bytes = frame.length / 2;
  await client.write(Buffer.from(PREAMBLE + u32(bytes) + frame, "hex"));
  const reply = await client.readFrame();
  assert.ok(reply !== undefined, "the server closed the connection");
  return Buffer.from(reply).toString("hex");
}

for (const strict of [true, false]) {
  const mode = strict ? "strict" : "lax";

  Deno.test(`native heartbeats are answered as §1.4 says (${mode})`, () =>
    inWorld(strict, async (world) => {
      const { owner, open } = world;
      const challenge = challenges.heartbeat(owner.id);
      const good = await sign(owner, challenge);
      const id = u32(owner.id);
      assert.equal(
        await exchange(world, `01${id}${good}`),
        `81${TIME.toString(16).padStart(16, "0")}00`,
      );
      const failed = error("signature verification failed");
      assert.equal(await exchange(world, `01${id}${NOISE}`), failed);
      assert.equal(await exchange(world, `01${id}${await sign(open, challenge)}`), failed);
      assert.equal(
        await exchange(world, `01${u32(NOBODY)}${good}`),
        error(`node ${NOBODY}: not found`),
      );
      assert.match(await exchange(world, `01${id}`), /^ff/);
    }));

  Deno.test(`native lookups are answered as §1.4 says (${mode})`, () =>
    inWorld(strict, async (world) => {
      const reply = await exchange(world, `02${u32(world.open.id)}`);
      assert.match(reply, new RegExp(`^82${u32(world.open.id)}`));
      const key = Buffer.from(world.open.identity.publicKey).toString("hex");
      assert.ok(reply.includes(key), reply);
      assert.ok(
        reply.includes(Buffer.from("127.0.0.1:4000").toString("hex")),
        "public: the endpoint",
      );
      const hidden = await exchange(world, `02${u32(world.owner.id)}`);
      assert.ok(!hidden.includes(Buffer.from("127.0.0.1").toString("hex")), "private: no endpoint");
      assert.equal(
        await exchange(world, `02${u32(NOBODY)}`),
        error(`node ${NOBODY}: not found`),
      );
      assert.match(await exchange(world, "0200"), /^ff/);
    }));

  Deno.test(`native resolves are answered as §1.4 says (${mode})`, () =>
    inWorld(strict, async (world) => {
      const { owner, member, stranger, open } = world;
      const ask = (node: number, requester: number, signature: string) =>
        exchange(world, `03${u32(node)}${u32(requester)}${signature}`);
      const challenge = challenges.resolve(member.id, owner.id);
      const good = await ask(owner.id, member.id, await sign(member, challenge));
      assert.match(good, new RegExp(`^83${u32(owner.id)}`));
      assert.ok(good.includes(Buffer.from("127.0.0.1:4000").toString("hex")), good);
      assert.ok(good.includes(Buffer.from("10.0.0.1:4000").toString("hex")), good);
      const failed = error("signature verification failed");
      assert.equal(await ask(owner.id, member.id, NOISE), failed);
      assert.equal(await ask(owner.id, member.id, await sign(open, challenge)), failed);
      const denied = await sign(member, challenges.resolve(member.id, stranger.id));
      assert.equal(
        await ask(stranger.id, member.id, denied),
        error(`resolve denied: node ${stranger.id} is private`),
      );
      assert.equal(
        await ask(owner.id, NOBODY, NOISE),
        error(`resolve denied: requester ${NOBODY} is not registered`),
      );
    }));

  Deno.test(`other frames are refused, and the connection continues (${mode})`, () =>
    inWorld(strict, async (world) => {
      assert.match(await exchange(world, "7f00"), /^ff/);
      assert.match(await exchange(world, `00${Buffer.from("[]").toString("hex")}`), /^(?:00|ff)/);
      const unknown = Buffer.from('{"type":"nonsense"}').toString("hex");
      const reply = await exchange(world, `00${unknown}`);
      assert.equal(
        Buffer.from(reply.slice(2), "hex").toString(),
        '{"type":"error","error":"request failed","code":"denied"}',
      );
    }));
}
