/** `pilotctl join`, against real registries. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { EXIT_CODES } from "../../cli/exit_codes.ts";
import { formatJoinUri, parseJoinUri } from "../../platform/join_uri.ts";
import { resolveDaemonOptions, resolveSettings } from "../../platform/settings/mod.ts";
import type { Rendezvous } from "../../rendezvous/mod.ts";
import { selfSigned } from "../../rendezvous/registry/self_signed_certificate.ts";
import { TLS_CERT_FILE, TLS_KEY_FILE } from "../../rendezvous/registry/tls.ts";
import { start } from "../rendezvous/support/server.ts";
import { at, run, runJson, type RunOptions, withDir } from "./support.ts";

const OTHER_HEX = "ab".repeat(32);

/** A temporary home, and what its config file holds. */
class Home {
  readonly dir: string;

  constructor(dir: string) {
    this.dir = dir;
  }

  async config(): Promise<Record<string, unknown> | undefined> {
    const text = await Deno.readTextFile(join(this.dir, "config.json")).catch(() => undefined);
    return text === undefined ? undefined : JSON.parse(text);
  }

  async write(name: string, value: unknown): Promise<void> {
    await Deno.writeTextFile(join(this.dir, name), JSON.stringify(value), { mode: 0o600 });
  }

  join(uri: string, flags: readonly string[] = [], options: RunOptions = {}) {
    return runJson(["join", uri, "--home", this.dir, ...flags], options);
  }
}

const withHome = (body: (home: Home) => Promise<void>) => withDir((dir) => body(new Home(dir)));

/** What is in the config file after joining a server. */
function pinned(server: Rendezvous): Record<string, unknown> {
  return {
    registry: server.registryAddr,
    beacon: server.beaconAddr,
    registry_tls: true,
    registry_fingerprint: server.facts.tlsFingerprint,
    registry_key: server.facts.registryKey,
  };
}

Deno.test("join checks the registry, pins it and keeps other settings; a daemon then needs no flags", () =>
  withHome(async (home) => {
    await using server = await start();
    await home.write("config.json", { hostname: "alice", "registry-key": "old", other: { a: 1 } });
    const { code, data } = await home.join(server.facts.join.uri);
    assert.equal(code, 0);
    assert.deepEqual(data, {
      config_path: join(home.dir, "config.json"),
      ...pinned(server),
      changed: true,
      overridden: [],
      restart_needed: false,
    });
    const kept = { hostname: "alice", other: { a: 1 } };
    assert.deepEqual(await home.config(), { ...kept, ...pinned(server) });
    if (Deno.build.os !== "windows") {
      const { mode } = await Deno.stat(join(home.dir, "config.json"));
      assert.equal(mode! & 0o777, 0o600);
    }
    const settings = resolveSettings({ flags: { home: home.dir }, env: () => undefined });
    const { registry, registryTls, registryFingerprint } = resolveDaemonOptions(settings);
    assert.deepEqual([registry, registryTls, registryFingerprint], [
      server.registryAddr,
      true,
      server.facts.tlsFingerprint,
    ]);
    const before = await Deno.stat(join(home.dir, "config.json"));
    assert.equal(at((await home.join(server.facts.join.uri)).data, "changed"), false);
    const after = await Deno.stat(join(home.dir, "config.json"));
    assert.equal(after.ino, before.ino, "not written again");
    const { stdout } = await run(["join", server.facts.join.uri, "--home", home.dir]);
    assert.match(stdout, /Registry: +\S+ \(TLS, certificate pinned, key pinned\)/);
    assert.match(stdout, /Next: pilotctl --home \S+ daemon start\n$/);
  }));

Deno.test("join writes nothing when the registry is not the one of the URI, or does not answer", () =>
  withHome(async (home) => {
    await using server = await start();
    await using other = await start();
    await using plain = await start({ tls: "none" });
    const target = parseJoinUri(server.facts.join.uri);
    const refuses = async (change: Partial<typeof target>, code: string, message: RegExp) => {
      const { error } = await home.join(formatJoinUri({ ...target, ...change }));
      assert.equal(error?.code, code, JSON.stringify(error));
      assert.match(String(error?.message), message);
      assert.match(String(error?.hint), /Nothing was written/);
      assert.equal(await home.config(), undefined);
    };
    const { registryKey } = other.facts;
    await refuses({ fingerprint: OTHER_HEX }, "untrusted", /another certificate/);
    await refuses({ registryKey }, "untrusted", /refused/);
    await refuses({ registryKey, fingerprint: undefined }, "untrusted", /refused/);
    await refuses({ registry: other.registryAddr }, "untrusted", /another certificate/);
    await refuses({ registry: plain.registryAddr }, "unavailable", /No TLS/);
    const gone = await start();
    await gone.close();
    await refuses({ registry: gone.registryAddr }, "unavailable", /not reachable/);
  }));

Deno.test("join of a registry without TLS pins its key, and drops the certificate of another one", () =>
  withHome(async (home) => {
    await using server = await start({ tls: "none" });
    const earlier = { registry: "r:1", registry_tls: true, registry_fingerprint: OTHER_HEX };
    await home.write("config.json", earlier);
    const { code, data } = await home.join(server.facts.join.uri);
    assert.equal(code, 0);
    assert.equal(at(data, "registry_fingerprint"), null);
    const { registry, beacon, registry_key } = pinned(server);
    assert.deepEqual(await home.config(), { registry, beacon, registry_key });
  }));

Deno.test("join does not take a home from the registry that it is registered at, unless forced", () =>
  withHome(async (home) => {
    await using server = await start();
    const { uri } = server.facts.join;
    const { registryKey } = server.facts;
    const joins = async (node: Record<string, unknown>, config: object, flags: string[] = []) => {
      await home.write("node.json", { node: 7, publicKey: "k", ...node });
      await home.write("config.json", config);
      const { code, error } = await home.join(uri, flags);
      if (code !== 0) {
        assert.equal(error?.code, "invalid_state");
        assert.match(String(error?.message), /is node 7 of the registry/);
        assert.deepEqual(await home.config(), config);
      }
      return code === 0;
    };
    const elsewhere = { registry: "r.example:9000" };
    assert.equal(await joins(elsewhere, {}), false);
    assert.equal(await joins(elsewhere, {}, ["--force"]), true);
    assert.equal(await joins({}, elsewhere), false, "older daemons note no registry");
    assert.equal(await joins({}, {}), false, "the default one");
    assert.equal(await joins({}, { registry: server.registryAddr }), true, "it had no pins");
    assert.equal(await joins({ ...elsewhere, registryKey }, {}), true, "it has moved");
    const replaced = { registry: server.registryAddr, registryKey: "another" };
    assert.equal(await joins(replaced, {}), false);
    assert.equal(await joins({ registry: server.registryAddr }, { registry_key: "it" }), false);
    assert.equal(await joins({ node: 0, ...elsewhere }, {}), true, "it was never registered");
    // Whoever can answer at its address could otherwise have the pin dropped by a shorter URI.
    await home.write("node.json", { node: 7, registry: server.registryAddr, registryKey });
    const short = formatJoinUri({ ...parseJoinUri(uri), registryKey: undefined });
    const refused = await home.join(short);
    assert.match(String(refused.error?.message), /whose key is pinned and not in the URI/);
    assert.equal((await home.join(short, ["--force"])).code, 0);
    await Deno.writeTextFile(join(home.dir, "node.json"), "{damaged");
    assert.equal((await home.join(uri)).code, 0);
  }));

Deno.test("a certificate that has expired serves as well; one that was changed is refused until it is joined", () =>
  withHome(async (home) => {
    const store = join(home.dir, "store");
    await Deno.mkdir(store, { mode: 0o700 });
    const [certFile, keyFile] = [join(store, TLS_CERT_FILE), join(store, TLS_KEY_FILE)];
    const expired = selfSigned({ organization: "x", hosts: [], notBefore: 0, notAfter: 1_000 });
    await Deno.writeTextFile(certFile, expired.cert);
    await Deno.writeTextFile(keyFile, expired.key, { mode: 0o600 });
    const places = { registryAddr: "127.0.0.1:0", beaconAddr: "127.0.0.1:0" };
    const old = await (async () => {
      await using server = await start({ store, ...places });
      Object.assign(places, { registryAddr: server.registryAddr, beaconAddr: server.beaconAddr });
      const { uri } = server.facts.join;
      assert.equal((await home.join(uri)).code, 0);
      await home.write("node.json", { node: 7, registry: server.registryAddr });
      return uri;
    })();
    await Deno.remove(certFile);
    await Deno.remove(keyFile);
    await using server = await start({ store, ...places });
    const { error } = await home.join(old);
    assert.equal(error?.code, "untrusted");
    assert.equal((await home.join(server.facts.join.uri)).code, 0, "the key is the same");
    assert.equal((await home.config())?.registry_fingerprint, server.facts.tlsFingerprint);
  }));

Deno.test("join --print asks nobody and writes nothing", () =>
  withHome(async (home) => {
    const uri = `pilot://192.0.2.1:9000?beacon=192.0.2.1:9001&fingerprint=${OTHER_HEX}`;
    const { code, data } = await home.join(uri, ["--print"]);
    assert.equal(code, 0);
    assert.deepEqual(data, {
      registry: "192.0.2.1:9000",
      beacon: "192.0.2.1:9001",
      registry_tls: true,
      registry_fingerprint: OTHER_HEX,
      registry_key: null,
    });
    assert.equal(await home.config(), undefined);
  }));

Deno.test("join reports what overrides the config file, and that a running daemon must be restarted", () =>
  withHome(async (home) => {
    await using server = await start();
    const env = {
      PILOT_REGISTRY: "r.example:9000",
      PILOT_BEACON: server.beaconAddr,
      PILOT_REGISTRY_KEY: "other",
    };
    const driver = { info: () => Promise.resolve({ registry: "r.example:9000" }) } as never;
    const { data } = await home.join(server.facts.join.uri, [], { env, driver });
    assert.deepEqual(at(data, "overridden"), ["PILOT_REGISTRY", "PILOT_REGISTRY_KEY"]);
    assert.equal(at(data, "restart_needed"), true);
  }));

Deno.test("join does not go from TLS to plain TCP at the same registry, unless forced", () =>
  withHome(async (home) => {
    await using server = await start();
    const { uri } = server.facts.join;
    assert.equal(
      (await home.join(`${uri}\n`)).code,
      0,
      "a line break that was pasted along is none of it",
    );
    const before = await home.config();
    const weaker = uri.replace(/&fingerprint=[^&]*/, "");
    const { code, error } = await home.join(weaker);
    assert.equal(code, EXIT_CODES.invalid_state);
    assert.match(String(error?.message), /certificate of .* is pinned/);
    assert.deepEqual(await home.config(), before);
    assert.equal((await home.join(weaker, ["--force"])).code, 0);
  }));

Deno.test("join refuses URIs that are broken or incomplete, and addresses beside them", () =>
  withHome(async (home) => {
    const uri = "pilot://192.0.2.1:9000?beacon=192.0.2.1:9001";
    const refuses = async (args: readonly string[], message: RegExp) => {
      const [text, ...flags] = args;
      const { code, error } = await home.join(text!, flags);
      assert.equal(code, 2);
      assert.match(`${error?.message} ${error?.hint}`, message);
      assert.equal(await home.config(), undefined);
    };
    await refuses([uri], /neither fingerprint nor key/);
    await refuses([`${uri}&key=%20`], /key of the URI/);
    await refuses([`${uri}&fingerprint=${OTHER_HEX}&token=1`], /unknown part: "token"/);
    await refuses([uri.replaceAll("192.0.2.1", "<HOST>")], /still says <HOST>/);
    await refuses([`${uri}&fingerprint=${OTHER_HEX}`, "--registry", "r:1"], /leave --registry out/);
    await refuses(["5"], /pilotctl --home \S+ network join 5/);
  }));

Deno.test("join makes the config file that it is given; network join does not", () =>
  withHome(async (home) => {
    await using server = await start();
    const path = join(home.dir, "sub", "other.json");
    const { code } = await home.join(server.facts.join.uri, ["--config", path]);
    assert.equal(code, 0);
    assert.equal(JSON.parse(await Deno.readTextFile(path)).registry, server.registryAddr);
    const { error } = await runJson(["network", "join", "5", "--config", join(home.dir, "none")]);
    assert.equal(error?.code, "not_found");
  }));

Deno.test("init does not put another registry beside what is pinned of the one before", () =>
  withHome(async (home) => {
    const config = { registry: "r.example:9000", registry_fingerprint: OTHER_HEX };
    await home.write("config.json", config);
    const init = (registry: string) =>
      runJson(["init", "--home", home.dir, "--registry", registry, "--beacon", "b:1"]);
    const { error } = await init("other.example:9000");
    assert.equal(error?.code, "invalid_state");
    assert.match(String(error?.hint), /pilotctl --home \S+ join/);
    assert.deepEqual(await home.config(), config);
    assert.equal((await init("r.example:9000")).code, 0);
  }));
