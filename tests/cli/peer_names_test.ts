/** Tables show what peers are called, where that is known. */

import assert from "node:assert/strict";
import { join } from "node:path";
import type { CliDriver } from "../../cli/main.ts";
import { type FakeDriver, run, runJson, withDir } from "./support.ts";

const PEER = { node_id: 7, mutual: true, network: 0, approved_at: 1, public_key: "k" };

const INFO = {
  node_id: 5,
  public_key: "key",
  networks: [],
  peer_list: [{ node_id: 7, endpoint: "1.2.3.4:5", relay: false, authenticated: true }],
  conn_list: [{ id: 1, remote_addr: "0:0000.0000.0007", remote_port: 9, srtt_ms: 1 }],
};

const driver: FakeDriver = {
  info: () => Promise.resolve(INFO as unknown as Awaited<ReturnType<CliDriver["info"]>>),
  trust: {
    peers: () => Promise.resolve([{ ...PEER, hostname: "carol" }, { ...PEER, node_id: 8 }]),
  },
};

Deno.test("trust, peers, connections and inbox show the names of peers", () =>
  withDir(async (home) => {
    await Deno.mkdir(join(home, "inbox"));
    const message = { type: "TEXT", from: "0:0000.0000.0007", bytes: 1, data: "x" };
    const file = join(home, "inbox", "TEXT-20261121-013400.123-000042.json");
    await Deno.writeTextFile(file, JSON.stringify(message));
    const options = { driver, env: { PILOT_HOME: home } };
    assert.match((await run(["trust"], options)).stdout, /^7 +carol +yes/m);
    assert.match((await run(["peers"], options)).stdout, /^7 +carol +1\.2\.3\.4:5/m);
    assert.match((await run(["connections"], options)).stdout, /0:0000\.0000\.0007:9 \(carol\)/);
    assert.match((await run(["inbox"], options)).stdout, /0:0000\.0000\.0007 \(carol\) +TEXT/);
    const numbers = await run(["inbox"], { env: { PILOT_HOME: home } });
    assert.match(numbers.stdout, /0:0000\.0000\.0007 +TEXT/, "without a daemon, too");
    const { data } = await runJson(["peers"], options);
    assert.doesNotMatch(JSON.stringify(data), /carol/, "programs have numbers");
  }));
