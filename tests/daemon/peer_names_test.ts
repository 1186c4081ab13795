import { formatAddress } from "../../protocol/address.ts";
/** Names of trusted peers without a registry: known ones only, and never somebody else's. */

import assert from "node:assert/strict";
import { encodeBase64 } from "../../protocol/crypto/base64.ts";
import { PilotError } from "../../protocol/errors.ts";
import { MAX_PEER_NAMES, PeerNames } from "../../daemon/peer_names.ts";

const KEY = new Uint8Array(32).fill(1);
const OTHER_KEY = new Uint8Array(32).fill(2);

class World {
  readonly trusted = new Map<number, Uint8Array>([[5, KEY]]);
  readonly warnings: string[] = [];
  text: string | undefined;
  writeError: Error | undefined;
  /** What the registry says: names, or that it is away. */
  registry: Map<string, number> | undefined = new Map([["bob", 5]]);

  open(): PeerNames {
    return new PeerNames(
      {
        isTrusted: (node) => this.trusted.has(node),
        pinnedKey: (node) => this.trusted.get(node),
      },
      {
        read: () => Promise.resolve(this.text),
        write: (text) => {
          if (this.writeError !== undefined) return Promise.reject(this.writeError);
          this.text = text;
          return Promise.resolve();
        },
      },
      (message) => void this.warnings.push(message),
    );
  }

  resolve(names: PeerNames, hostname: string) {
    return names.resolve(hostname, () => {
      if (this.registry === undefined) {
        return Promise.reject(new PilotError("unavailable", "Registry is not reachable"));
      }
      const node = this.registry.get(hostname);
      return node === undefined
        ? Promise.reject(new PilotError("not_found", "hostname not found"))
        : Promise.resolve({
          node_id: node,
          hostname,
          address: formatAddress({ network: 0, node }),
        });
    });
  }
}

Deno.test("PeerNames resolves the name of a trusted peer while the registry is away, also after a restart", async () => {
  const world = new World();
  const names = world.open();
  await world.resolve(names, "bob");
  assert.equal(names.nameOf(5), "bob");
  await names.close();
  world.registry = undefined;
  const expected = { node_id: 5, address: "0:0000.0000.0005", hostname: "bob", cached: true };
  assert.deepEqual(await world.resolve(names, "bob"), expected);
  assert.deepEqual(await world.resolve(world.open(), "bob"), expected);
  await assert.rejects(world.resolve(names, "eve"), { code: "unavailable" });
});

Deno.test("PeerNames resolves no node that is not trusted, or is another one by now", async () => {
  const world = new World();
  const names = world.open();
  await world.resolve(names, "bob");
  world.registry = undefined;
  world.trusted.set(5, OTHER_KEY);
  await assert.rejects(world.resolve(names, "bob"), { code: "unavailable" }, "another key");
  assert.equal(names.nameOf(5), "");
  world.trusted.delete(5);
  await assert.rejects(world.resolve(names, "bob"), { code: "unavailable" }, "not trusted");

  await names.learn(9, "carol", encodeBase64(KEY));
  await assert.rejects(world.resolve(names, "carol"), { code: "unavailable" });
  world.trusted.set(9, KEY);
  names.trusted(9);
  await names.close();
  assert.equal((await world.resolve(world.open(), "carol")).node_id, 9, "learned before the trust");
  await names.learn(9, "carol", encodeBase64(OTHER_KEY));
  await assert.rejects(
    world.resolve(names, "carol"),
    { code: "unavailable" },
    "number given to another node",
  );
});

Deno.test("PeerNames follows every answer of the registry", async () => {
  const world = new World();
  const names = world.open();
  world.trusted.set(6, OTHER_KEY);
  await world.resolve(names, "bob");
  world.registry = new Map([["bob", 6]]);
  assert.equal((await world.resolve(names, "bob")).node_id, 6);
  assert.deepEqual([names.nameOf(5), names.nameOf(6)], ["", "bob"], "a name has one bearer");
  world.registry = undefined;
  assert.equal((await world.resolve(names, "bob")).node_id, 6);
  world.registry = new Map();
  await assert.rejects(world.resolve(names, "bob"), { code: "not_found" });
  world.registry = undefined;
  await assert.rejects(world.resolve(names, "bob"), { code: "unavailable" });
  await names.learn(6, "");
  await names.learn(6, "bobby");
  await names.learn(6, "");
  assert.equal(names.nameOf(6), "bobby", "a hidden name is no answer");
});

Deno.test("PeerNames is bounded, and lives with files that are damaged or cannot be written", async () => {
  const world = new World();
  world.text = "{ half";
  const names = world.open();
  world.writeError = new Error("disk full");
  for (let node = 1; node <= MAX_PEER_NAMES + 1; node++) {
    world.trusted.set(node, KEY);
    await names.learn(node, `name-${node}`);
  }
  await names.close();
  assert.deepEqual([names.nameOf(1), names.nameOf(2)], ["", "name-2"]);
  assert.deepEqual(
    new Set(world.warnings),
    new Set(["names.json not read", "names.json not written"]),
  );
  world.writeError = undefined;
  await names.learn(7, "seven");
  await names.close();
  assert.match(world.text!, /"seven"/);
});
