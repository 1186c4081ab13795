import assert from "node:assert/strict";
import type { CliDriver } from "../../cli/main.ts";
import { type FakeDriver, run, runJson, withDir } from "./support.ts";

/** A driver whose networks note what they are asked. */
function networks(): { driver: FakeDriver; calls: unknown[] } {
  const calls: unknown[] = [];
  const answer = <T>(value: T) => (...args: unknown[]) => {
    calls.push(args.slice(0, -1));
    return Promise.resolve(value);
  };
  const fake = {
    list: answer([{ id: 3, name: "lab\u001b", members: 2, join_rule: "open", enterprise: true }]),
    join: answer({ network_id: 3, address: "3:0003.0000.0005" }),
    leave: answer({ network_id: 3 }),
    members: answer([{ node_id: 5, address: "3:0003.0000.0005", role: "owner", offline: true }]),
    invite: answer({ network_id: 3, target_node_id: 8 }),
    invites: answer([{ network_id: 3, inviter_id: 5, timestamp: 1_767_225_600 }]),
    kick: (network: number, node: number, { ban }: { ban: boolean }) => {
      calls.push([network, node, ban]);
      return Promise.resolve({ network_id: network, target_node_id: node });
    },
    setToken: answer({ network_id: 3 }),
    unban: answer({ network_id: 3, target_node_id: 8 }),
    bans: answer([{ node_id: 8, timestamp: 1_767_225_600 }]),
    promote: answer({ network_id: 3, target_node_id: 8, role: "admin" }),
    demote: answer({ network_id: 3, target_node_id: 8, role: "member" }),
    transfer: answer({ network_id: 3, old_owner: 5, new_owner: 8 }),
    respond: answer({ network_id: 3, accepted: true }),
  };
  const driver = {
    networks: fake as unknown as CliDriver["networks"],
    registry: { releaseHold: answer({ node_id: 5 }) } as unknown as CliDriver["registry"],
    resolveTarget: () => Promise.resolve({ network: 0, node: 8 }),
  };
  return { driver, calls };
}

Deno.test("network commands show tables to people and the registry's fields as JSON", async () => {
  const { driver, calls } = networks();
  const cases: [string[], RegExp][] = [
    [["list"], /^3 +lab\? +2 +open +yes$/m],
    [["join", "3"], /^Joined network 3 as 3:0003\.0000\.0005$/m],
    [["leave", "3"], /^Left network 3$/m],
    [["members", "3"], /^5 +3:0003\.0000\.0005 +owner +offline$/m],
    [["invite", "3", "alice"], /^Invited node 8 to network 3$/m],
    [["invites"], /^3 +5 +2026-01-01T00:00:00Z$/m],
    [["kick", "3", "alice"], /^Removed node 8 from network 3$/m],
    [["kick", "3", "alice", "--ban"], /^Banned node 8 from network 3$/m],
    [["unban", "3", "alice"], /^Node 8 may join network 3 again$/m],
    [["bans", "3"], /^8 +2026-01-01T00:00:00Z$/m],
    [["promote", "3", "alice"], /^Node 8 is an admin of network 3$/m],
    [["demote", "3", "alice"], /^Node 8 is a member of network 3$/m],
    [["transfer", "3", "alice"], /^Node 8 owns network 3$/m],
    [["release-hold"], /^The registry accepts this node's older signatures again/m],
    [["accept", "3"], /^Joined network 3$/m],
    [["decline", "3"], /^Declined the invitation to network 3$/m],
  ];
  for (const [args, text] of cases) {
    assert.match((await run(["network", ...args], { driver })).stdout, text);
    assert.equal((await runJson(["network", ...args], { driver })).code, 0);
  }
  assert.deepEqual(calls.filter((_, i) => i % 2 === 0), [
    [],
    [3, ""],
    [3],
    [3],
    [3, 8],
    [],
    [3, 8, false],
    [3, 8, true],
    [3, 8],
    [3],
    [3, 8],
    [3, 8],
    [3, 8],
    [],
    [3, true],
    [3, false],
  ]);
});

Deno.test("network join and set-token take the token from a private file or the environment, never from the command line", () =>
  withDir(async (dir) => {
    const { driver, calls } = networks();
    const file = `${dir}/token`;
    await Deno.writeTextFile(file, "secret\n", { mode: 0o600 });
    await runJson(["network", "join", "3", "--token-file", file], { driver });
    await runJson(["network", "join", "3"], { driver, env: { PILOT_NETWORK_TOKEN: "other" } });
    await runJson(["network", "set-token", "3", "--token-file", file], { driver });
    assert.deepEqual(calls, [[3, "secret"], [3, "other"], [3, "secret"]]);
    const none = await runJson(["network", "set-token", "3"], { driver });
    assert.equal(none.error?.code, "invalid_argument");
    await Deno.chmod(file, 0o644);
    const open = await runJson(["network", "join", "3", "--token-file", file], { driver });
    assert.equal(open.error?.code, "denied");
    const gone = await runJson(["network", "join", "3", "--token-file", `${dir}/no`], { driver });
    assert.equal(gone.error?.code, "invalid_argument");
    assert.equal((await runJson(["network", "join", "99999999"], { driver })).code, 2);
  }));
