/**
 * A store that keeps nothing, for tests and for servers started without a directory.
 *
 * @module
 */

import type { RegistryStore } from "./store.ts";

/** A store without memory. */
export class MemoryStore implements RegistryStore {
  /** Nowhere. */
  readonly location: undefined = undefined;

  /** Has nothing to hand over. */
  load(): void {}

  /** Accepts everything: there is no promise to survive the process. */
  commit(): Promise<void> {
    return Promise.resolve();
  }

  /** Has nothing to end. */
  close(): Promise<void> {
    return Promise.resolve();
  }
}
