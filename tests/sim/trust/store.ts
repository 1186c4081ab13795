/**
 * A store of a registry in memory that survives its process, for simulations.
 *
 * @module
 */

import type {
  Pair,
  RegistryStore,
  StoreBatch,
  StoreReader,
} from "../../../rendezvous/registry/store/store.ts";

/** Rows by their keys, as the last commit left them. */
export class LastingStore implements RegistryStore {
  readonly location: undefined = undefined;
  #sequence = 0;
  #nextNode = 1;
  readonly #tables = {
    nodes: new Map<string, StoreBatch["nodes"][number]>(),
    trust: new Map<string, StoreBatch["trust"][number]>(),
    requests: new Map<string, StoreBatch["requests"][number]>(),
    responses: new Map<string, StoreBatch["responses"][number]>(),
  };

  load(reader: StoreReader): void {
    const { nodes, trust, requests, responses } = this.#tables;
    reader.sequence(this.#sequence);
    reader.nextNode(this.#nextNode);
    for (const row of nodes.values()) reader.node(row);
    for (const row of trust.values()) reader.trust(row);
    for (const row of requests.values()) reader.request(row);
    for (const row of responses.values()) reader.response(row);
    reader.nextNetwork(1);
  }

  commit(batch: StoreBatch): Promise<void> {
    const { nodes, trust, requests, responses } = this.#tables;
    this.#sequence = batch.sequence;
    this.#nextNode = batch.nextNode;
    for (const row of batch.nodes) nodes.set(`${row.id}`, row);
    drop(trust, batch.trustRemoved);
    for (const row of batch.trust) trust.set(`${row.low} ${row.high}`, row);
    drop(requests, batch.requestsRemoved);
    for (const row of batch.requests) requests.set(`${row.target} ${row.sender}`, row);
    drop(responses, batch.responsesRemoved);
    for (const row of batch.responses) responses.set(`${row.target} ${row.sender}`, row);
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

function drop(table: Map<string, unknown>, removed: readonly Pair[]): void {
  for (const [first, second] of removed) table.delete(`${first} ${second}`);
}
