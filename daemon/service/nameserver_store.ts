/**
 * The nameserver's records on disk (docs/protocol/nameserver.md §5), so that names survive a restart of the daemon. The
 * file only spares a wait: who holds a name registers it again within minutes.
 *
 * @module
 */

import * as v from "valibot";
import { getLogger, LOG_CATEGORY } from "../../platform/log.ts";
import { readTextFile, writeFileAtomic } from "../../platform/private_files.ts";
import { type Address, formatAddress, MAX_PORT, parseAddress } from "../../protocol/address.ts";
import { isPlainName } from "../../protocol/service/nameserver_text.ts";
import type { Clock } from "../../platform/clock.ts";
import type { HeldName, NameRecords } from "./nameserver_records.ts";

/** Changes within this time are written together, milliseconds: the whole file is rewritten, and strangers cause it. */
const SAVE_DELAY_MS = 5_000;

const number16 = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(MAX_PORT));
const name = v.pipe(v.string(), v.check(isPlainName));
const address = v.pipe(
  v.string(),
  v.rawTransform(({ dataset, addIssue, NEVER }): Address => {
    try {
      return parseAddress(dataset.value);
    } catch {
      addIssue({ message: "not an address" });
      return NEVER;
    }
  }),
);
const A_RECORD = v.object({ name, address });
const N_RECORD = v.object({
  name,
  network_id: number16,
  // Ours: existing files have no holder.
  node_id: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0xfffffffe)), 0),
});
const S_RECORD = v.object({ name, address, network_id: number16, port: number16 });
const list = v.optional(v.nullable(v.array(v.unknown())));
const FILE = v.object({ a_records: list, n_records: list, s_records: list });

const log = getLogger([LOG_CATEGORY, "nameserver"]);

/** Keeps a file in step with the records. */
export class NameStore {
  readonly #path: string;
  readonly #records: NameRecords;
  readonly #clock: Clock;
  /** Revision of the records that is on disk. */
  #saved = 0;
  #cancel: (() => void) | undefined;
  #writing: Promise<void> = Promise.resolve();
  #closed = false;

  /**
   * @param path The file; its directory exists.
   * @param records What is kept in it.
   * @param clock For the delay.
   */
  constructor(path: string, records: NameRecords, clock: Clock) {
    this.#path = path;
    this.#records = records;
    this.#clock = clock;
  }

  /**
   * Reads the file into the records; they are as new. What is damaged in it is left out, with a warning.
   *
   * @throws {PilotError} `io_error`, `limit_exceeded`.
   */
  async load(): Promise<void> {
    const text = await readTextFile(this.#path);
    if (text === undefined) return;
    const { held, damaged } = parseNames(text);
    const now = this.#clock.now();
    let dropped = damaged;
    for (const one of held) if (!this.#records.restore(one, now)) dropped++;
    // What was left out must go from the file only with the next change: a person may want to look at it.
    this.#saved = this.#records.revision;
    if (dropped > 0) {
      log.warn("{dropped} records of {path} are damaged or too many and were left out", {
        dropped,
        path: this.#path,
      });
    }
  }

  /** Has the file written soon when the records have changed. */
  touch(): void {
    if (this.#closed || this.#cancel !== undefined) return;
    if (this.#records.revision === this.#saved) return;
    this.#cancel = this.#clock.after(SAVE_DELAY_MS, () => {
      this.#cancel = undefined;
      void this.flush();
    });
  }

  /**
   * Writes what is not written yet and plans no other write.
   *
   * @returns When nothing is written any more.
   */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel?.();
    this.#cancel = undefined;
    await this.flush();
  }

  /**
   * Writes now what is not written yet; a failure is logged and left to the next time.
   *
   * @returns When that is done.
   */
  flush(): Promise<void> {
    // One write after the other, so that an older state never comes last.
    return this.#writing = this.#writing.then(() => this.#write());
  }

  async #write(): Promise<void> {
    const { revision } = this.#records;
    if (revision === this.#saved) return;
    try {
      await writeFileAtomic(this.#path, formatNames(this.#records.list()));
      this.#saved = revision;
    } catch (error) {
      // The names are served from memory; the next change or sweep tries again.
      log.warn("names are not saved: {error}", { error: String(error) });
    }
  }
}

/**
 * Formats records as the file of docs/protocol/nameserver.md §5, with `node_id` added to network names: who registered
 * them.
 *
 * @param held The records.
 * @returns JSON.
 */
export function formatNames(held: Iterable<HeldName>): string {
  const file: Record<"a_records" | "n_records" | "s_records", unknown[]> = {
    a_records: [],
    n_records: [],
    s_records: [],
  };
  for (const { record, owner } of held) {
    const { name } = record;
    if (record.type === "N") {
      file.n_records.push({ name, network_id: record.network, node_id: owner });
      continue;
    }
    const address = formatAddress(record.address);
    if (record.type === "A") file.a_records.push({ name, address });
    else {
      const { network, port } = record;
      file.s_records.push({ name, address, network_id: network, port });
    }
  }
  return JSON.stringify(file, null, 2) + "\n";
}

/**
 * Reads such a file of any implementation.
 *
 * @param text Its text.
 * @returns The records, and how many things in it are none.
 */
export function parseNames(text: string): { held: HeldName[]; damaged: number } {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return { held: [], damaged: 1 }; // counted; the caller reports it
  }
  const file = v.safeParse(FILE, json);
  if (!file.success) return { held: [], damaged: 1 };
  const held: HeldName[] = [];
  let damaged = 0;
  const each = <T>(
    list: unknown[] | null | undefined,
    schema: v.GenericSchema<unknown, T>,
    take: (record: T) => HeldName,
  ) => {
    for (const one of list ?? []) {
      const parsed = v.safeParse(schema, one);
      if (parsed.success) held.push(take(parsed.output));
      else damaged++;
    }
  };
  const { a_records, n_records, s_records } = file.output;
  each(a_records, A_RECORD, (record) => ({
    record: { type: "A", ...record },
    owner: record.address.node,
  }));
  each(n_records, N_RECORD, ({ name, network_id, node_id }) => ({
    record: { type: "N", name, network: network_id },
    owner: node_id,
  }));
  each(s_records, S_RECORD, ({ name, address, network_id, port }) => ({
    record: { type: "S", name, address, network: network_id, port },
    owner: address.node,
  }));
  return { held, damaged };
}
