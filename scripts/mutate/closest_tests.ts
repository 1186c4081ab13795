/**
 * Which tests are to notice a fault in a file.
 *
 * @module
 */

import { dirname } from "node:path";
import { importsOf, type SourceFile } from "../../tests/repo/sources.ts";

/** Tests that take other programs, networks or minutes; a rule of one file has a test that is closer. */
const DISTANT = /^tests\/(?:bench|e2e|nat|peers|repo|sim)\//;

/**
 * Files whose mutants are counted when none is named, and the tests of each: those beside it and, where it has none
 * of its own, the quickest of those that meet it through others.
 */
export const TARGETS: Readonly<Record<string, readonly string[]>> = {
  "cli/parse.ts": ["tests/cli/parse_test.ts"],
  "daemon/ipc/outgoing.ts": [
    "tests/daemon/ipc/outgoing_test.ts",
    "tests/daemon/ipc/outgoing_bounds_test.ts",
  ],
  "daemon/tunnel/key_exchange.ts": [
    "tests/daemon/tunnel/key_exchange_test.ts",
    "tests/daemon/tunnel/peer_keys_test.ts",
    "tests/protocol/tunnel/peer_tunnel_test.ts",
    "tests/daemon/tunnel/old_peer_test.ts",
  ],
  "platform/settings/config.ts": ["tests/platform/settings"],
  "protocol/crypto/replay.ts": ["tests/protocol/crypto/replay_test.ts"],
  "protocol/path/manager.ts": [
    "tests/protocol/path/manager_rules_test.ts",
    "tests/protocol/path/manager_test.ts",
    "tests/protocol/path/manager_paths_test.ts",
  ],
  "protocol/stream/recovery.ts": [
    "tests/protocol/stream/recovery_rules_test.ts",
    "tests/protocol/stream/recovery_timers_test.ts",
    "tests/protocol/stream/recovery_test.ts",
    "tests/protocol/stream/parts_test.ts",
  ],
  "protocol/trust/state.ts": ["tests/protocol/trust"],
  "rendezvous/beacon/mappings.ts": ["tests/rendezvous/beacon/mappings_test.ts"],
  "rendezvous/registry/authenticate.ts": ["tests/rendezvous/registry/authenticate_test.ts"],
  "rendezvous/registry/committer.ts": ["tests/rendezvous/registry/committer_test.ts"],
  "sdk/conn_sender.ts": ["tests/sdk/conn_sender_test.ts", "tests/sdk/conn_test.ts"],
};

/**
 * The tests closest to a file: those of the table, or its mirror image below `tests/` and the tests that import it. Of a
 * file that is met through its folder's `mod.ts` alone, the tests of the folder.
 *
 * @param path A file of the product, from the root.
 * @param tests Every file below `tests/`.
 * @returns Paths of test files or folders.
 */
export function closestTests(path: string, tests: readonly SourceFile[]): string[] {
  const named = TARGETS[path];
  if (named !== undefined) return [...named];
  const mirror = `tests/${path.replace(/\.ts$/, "_test.ts")}`;
  const near = tests.filter((test) => test.path.endsWith("_test.ts") && !DISTANT.test(test.path));
  const close = near.filter((test) =>
    test.path === mirror || importsOf(test).some(({ from }) => from === path)
  );
  const folder = near.filter((test) => dirname(test.path) === dirname(mirror));
  return (close.length > 0 ? close : folder).map((test) => test.path);
}
