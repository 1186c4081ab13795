/** Wrong tokens are counted and soon not looked at any more (docs/RENDEZVOUS.md). */

import assert from "node:assert/strict";
import { getLogger, type Logger } from "../../../platform/log.ts";
import { answerJson } from "../../../rendezvous/registry/answer.ts";
import { ConnectionAuth } from "../../../rendezvous/registry/connection_auth.ts";
import type { RegistryCore } from "../../../rendezvous/registry/core.ts";
import type { Peer } from "../../../rendezvous/registry/context.ts";
import { WRONG_TOKENS_BURST } from "../../../rendezvous/registry/registry_limits.ts";
import { checkAdminToken } from "../../../rendezvous/registry/networks/tokens.ts";
import { TokenGuard } from "../../../rendezvous/registry/token_guard.ts";
import { start } from "../support/server.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { newCore, populate } from "./networks/core_support.ts";
import { ADMIN } from "./networks/support.ts";

const REFUSED = "rate limited: too many wrong tokens from this address";
const PEERS = { attacker: peer("192.0.2.66"), admin: peer("192.0.2.1") };

function peer(ip: string): Peer {
  return { ip, key: ip, port: 1, loopback: false, auth: new ConnectionAuth() };
}

async function ask(core: RegistryCore, from: Peer, request: object): Promise<unknown> {
  const reply = await answerJson(core, { ...request }, from) as Record<string, unknown>;
  return reply["error"] ?? "ok";
}

function create(name: string, admin_token: string, extra: object = {}): object {
  return { type: "create_network", node_id: 1, name, admin_token, ...extra };
}

async function exhaust(core: RegistryCore, request: object, text: string): Promise<void> {
  for (let i = 0; i < WRONG_TOKENS_BURST; i++) {
    assert.equal(await ask(core, PEERS.attacker, request), text);
  }
}

Deno.test("after some wrong admin tokens a source is refused even with the right one, others are not", async () => {
  const clock = new ManualClock();
  const core = newCore({ clock });
  await populate(core, 1);
  await exhaust(core, create("a", "guess"), "invalid admin token");
  assert.equal(await ask(core, PEERS.attacker, create("a", "guess")), REFUSED);
  assert.equal(await ask(core, PEERS.attacker, create("a", ADMIN)), REFUSED);
  assert.equal(await ask(core, PEERS.admin, create("a", ADMIN)), "ok");
  clock.advance(10_000); // one more attempt has come back
  assert.equal(await ask(core, PEERS.attacker, create("b", ADMIN)), "ok");
  assert.equal(
    await ask(core, PEERS.attacker, create("c", ADMIN)),
    "ok",
    "right ones cost nothing",
  );
  assert.equal(await ask(core, PEERS.attacker, create("d", "guess")), "invalid admin token");
  assert.equal(await ask(core, PEERS.attacker, create("d", ADMIN)), REFUSED);
  assert.deepEqual(core.tokens.counts, { admin: WRONG_TOKENS_BURST + 1, join: 0, refused: 3 });
  await core.close();
});

Deno.test("admin tokens are counted together wherever they are tried, and a network's own is no wrong one", async () => {
  const core = newCore();
  await populate(core, 2);
  const network = { enterprise: true, network_admin_token: "their own token" };
  assert.equal(await ask(core, PEERS.admin, create("n", ADMIN, network)), "ok");
  const rename = (admin_token: string, name = "m") => ({
    ...{ type: "rename_network", network_id: 1, name, admin_token },
  });
  for (let i = 0; i < 3 * WRONG_TOKENS_BURST; i++) {
    assert.equal(await ask(core, PEERS.attacker, rename("their own token", `m${i}`)), "ok");
  }
  const tries = [
    rename("guess"),
    create("x", "guess"),
    { type: "list_nodes", network_id: 0, admin_token: "guess" },
    { type: "set_visibility", node_id: 1, admin_token: "guess" },
    { type: "kick_member", network_id: 1, target_node_id: 2, admin_token: "guess" },
  ];
  for (let i = 0; i < WRONG_TOKENS_BURST; i++) {
    assert.notEqual(await ask(core, PEERS.attacker, tries[i % tries.length]!), REFUSED);
  }
  for (const request of tries) assert.equal(await ask(core, PEERS.attacker, request), REFUSED);
  await core.close();
});

Deno.test("join tokens are counted for each network and source", async () => {
  const core = newCore({ strict: false });
  await populate(core, 3);
  const token = { join_rule: "token", token: "right" };
  assert.equal(await ask(core, PEERS.admin, create("one", ADMIN, token)), "ok");
  assert.equal(await ask(core, PEERS.admin, create("two", ADMIN, token)), "ok");
  const join = (network_id: number, token: string, node_id = 2) => ({
    ...{ type: "join_network", network_id, node_id, token, admin_token: ADMIN },
  });
  await exhaust(core, join(1, "guess"), "invalid token for network 1");
  assert.equal(await ask(core, PEERS.attacker, join(1, "right")), REFUSED);
  assert.equal(await ask(core, PEERS.attacker, join(2, "right")), "ok", "another network");
  assert.equal(await ask(core, PEERS.admin, join(1, "right", 3)), "ok", "another source");
  await core.close();
});

Deno.test("a source that guesses is named once in a while, not with each guess, and its guess never", () => {
  const lines: string[] = [];
  const log = { warn: (...parts: unknown[]) => lines.push(JSON.stringify(parts)) };
  const guard = new TokenGuard(log as unknown as Logger);
  for (let now = 0; now < 500_000; now += 1000) {
    for (let i = 0; i < 5; i++) {
      try {
        guard.check({ source: "192.0.2.66", kind: "admin", now }, () => false);
      } catch {
        // refused: what this test is not about
      }
    }
  }
  assert.equal(lines.length, 1);
  assert.match(lines[0]!, /192\.0\.2\.66/);
});

Deno.test("a server does not start with a short admin token, and warns of one that is not long", async () => {
  await assert.rejects(start({ adminToken: "1234567" }), {
    code: "invalid_argument",
    message: "The admin token has 7 characters, fewer than 8",
  });
  const lines: unknown[] = [];
  const log = { warn: (text: string) => lines.push(text) } as unknown as Logger;
  checkAdminToken("123456789", log);
  assert.deepEqual(lines, ["the admin token is short and can be guessed"]);
  checkAdminToken("1234567890123456", log);
  checkAdminToken(undefined, getLogger(["test"]));
  assert.equal(lines.length, 1);
});
