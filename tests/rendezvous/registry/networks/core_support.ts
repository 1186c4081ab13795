/** A registry without sockets, for what takes many nodes or many steps. */

import { getLogger } from "../../../../platform/log.ts";
import { type CoreOptions, RegistryCore } from "../../../../rendezvous/registry/core.ts";
import { MemoryStore } from "../../../../rendezvous/registry/store/memory_store.ts";
import { ManualClock } from "../../../support/manual_clock.ts";
import { ADMIN } from "./support.ts";
import { CHANGE } from "../../support/context.ts";

/** A registry that forgets, or one on a store. */
export function newCore(
  options: Partial<Pick<CoreOptions, "store" | "strict" | "adminToken" | "signer">> & {
    clock?: ManualClock;
  } = {},
): RegistryCore {
  return new RegistryCore({
    store: options.store ?? new MemoryStore(),
    clock: options.clock ?? new ManualClock(),
    log: getLogger(["test"]),
    adminToken: options.adminToken ?? ADMIN,
    strict: options.strict,
    signer: options.signer,
  });
}

/** Base64 of a key that nobody has. */
export function fakeKey(n: number): string {
  const bytes = new Uint8Array(32);
  new DataView(bytes.buffer).setUint32(0, n);
  return btoa(String.fromCharCode(...bytes));
}

/** Makes nodes 1 to `count`. */
export async function populate(
  core: RegistryCore,
  count: number,
  fields: { tags?: string[] } = {},
): Promise<void> {
  await core.change(CHANGE, () => {
    for (let n = 1; n <= count; n++) Object.assign(core.nodes.create(fakeKey(n)), fields);
  });
}
