/**
 * The registry as `netcheck` and `doctor` see it, without a daemon.
 *
 * @module
 */

import { isIP } from "node:net";
import { PilotError } from "../../protocol/errors.ts";
import { type Endpoint, parseEndpoint } from "../../protocol/ip.ts";
import type { JsonObject, RegistryRequest } from "../../protocol/registry/registry_message.ts";
import * as requests from "../../protocol/registry/requests/mod.ts";
import { plainClock } from "../../platform/clock.ts";
import { RegistryClient } from "../../platform/registry_client.ts";
import type { DaemonOptions } from "../../platform/settings/mod.ts";
import { round } from "../output.ts";
import type { RegistryReport } from "./netcheck_report.ts";
import type { TimeLeft } from "./time_left.ts";

/** Longest wait for a connection, and for an answer, milliseconds. */
const REGISTRY_TIMEOUT_MS = 1_500;
/** A node number that nobody has to have: the answer counts, not what it says. */
const SOME_NODE = 1;

/** Where the registry is and how it is known. */
export type RegistryPlace = Pick<
  DaemonOptions,
  "registry" | "registryTls" | "registryFingerprint" | "registryKey"
>;

/** The registry's state, and the beacons it lists. */
export interface RegistryFindings {
  readonly report: RegistryReport;
  /** IP literals only: names that strangers may have written are not looked up. */
  readonly beacons: readonly Endpoint[];
}

/**
 * Connects, compares the clocks, and checks the key when one is pinned.
 *
 * @param place Where, and the pins.
 * @param time Longest time for all of it.
 * @returns What was found; failures are part of it.
 */
export async function checkRegistry(
  place: RegistryPlace,
  time: TimeLeft,
): Promise<RegistryFindings> {
  let client: RegistryClient | undefined;
  const cancel = plainClock.after(time.ms(), () => void client?.close());
  try {
    client = openClient(place);
    const connected = await timed(client);
    const answered = await timed(client);
    if (place.registryKey !== undefined) await askSigned(client);
    const { time } = answered.reply;
    const report: RegistryReport = {
      address: place.registry,
      tls: place.registryTls === true,
      reachable: true,
      connect_ms: round(connected.ms, 2),
      rtt_ms: round(answered.ms, 2),
      skew_ms: time === undefined ? null : round(time - answered.middle, 0),
      error_code: null,
      error: null,
    };
    return { report, beacons: listed(answered.reply.beacons) };
  } catch (thrown) {
    return notReachable(place, PilotError.from(thrown, "unavailable"));
  } finally {
    cancel();
    await client?.close();
  }
}

/**
 * The findings about a registry that does not answer.
 *
 * @param place Where it should be.
 * @param error The error of the last attempt.
 */
export function notReachable(place: RegistryPlace, error: PilotError): RegistryFindings {
  return {
    report: {
      address: place.registry,
      tls: place.registryTls === true,
      reachable: false,
      connect_ms: null,
      rtt_ms: null,
      skew_ms: null,
      error_code: error.code,
      error: error.message,
    },
    beacons: [],
  };
}

/**
 * Asks when a node's key expires; anyone may.
 *
 * @param place The registry.
 * @param node The node.
 * @param time Longest time.
 * @returns The date as the registry writes it; undefined for a key that does not expire.
 * @throws {PilotError} As `RegistryClient.request`.
 */
export async function keyExpiry(
  place: RegistryPlace,
  node: number,
  time: TimeLeft,
): Promise<string | undefined> {
  const { expires_at } = await askOnce(place, requests.getKeyInfo, { node_id: node }, time);
  return expires_at === "" ? undefined : expires_at;
}

/**
 * Asks for a node's public data, without a daemon.
 *
 * @param place The registry.
 * @param node The node.
 * @param time Longest time.
 * @returns The registry's answer.
 * @throws {PilotError} As `RegistryClient.request`.
 */
export function lookupNode(
  place: RegistryPlace,
  node: number,
  time: TimeLeft,
): Promise<requests.LookupReply & JsonObject> {
  return askOnce(place, requests.lookup, { node_id: node }, time);
}

async function askOnce<F extends object, R extends object>(
  place: RegistryPlace,
  request: RegistryRequest<F, R>,
  fields: F,
  time: TimeLeft,
): Promise<R & JsonObject> {
  const client = openClient(place);
  const cancel = plainClock.after(time.ms(), () => void client.close());
  try {
    return await client.call(request, fields);
  } finally {
    cancel();
    await client.close();
  }
}

function openClient(place: RegistryPlace): RegistryClient {
  return new RegistryClient({
    address: place.registry,
    clock: plainClock,
    fingerprint: place.registryTls === true ? place.registryFingerprint : undefined,
    pinnedKey: place.registryKey,
    connectTimeoutMs: REGISTRY_TIMEOUT_MS,
    replyTimeoutMs: REGISTRY_TIMEOUT_MS,
  });
}

async function timed(client: RegistryClient) {
  const startMs = performance.now();
  const startUnixMs = Date.now();
  const reply: requests.BeaconListReply = await client.call(requests.beaconList, {}).catch(
    (error) => {
      // A registry that serves no such request is one that answers.
      if (error instanceof PilotError && isAnswer(error)) return { beacons: [] };
      throw error;
    },
  );
  const ms = performance.now() - startMs;
  return { reply, ms, middle: startUnixMs + ms / 2 };
}

function isAnswer({ code }: PilotError): boolean {
  return code !== "unavailable" && code !== "untrusted";
}

/** The client checks the signature, that of a refusal, too. */
async function askSigned(client: RegistryClient): Promise<void> {
  try {
    await client.call(requests.lookup, { node_id: SOME_NODE });
  } catch (error) {
    if (!(error instanceof PilotError) || !isAnswer(error)) throw error;
  }
}

function listed(beacons: readonly requests.ListedBeacon[]): Endpoint[] {
  const found: Endpoint[] = [];
  for (const { addr } of beacons) {
    try {
      const endpoint = parseEndpoint(addr);
      if (isIP(endpoint.host) !== 0 && endpoint.port !== 0) found.push(endpoint);
    } catch (error) {
      if (!(error instanceof PilotError)) throw error; // anyone may have written it there
    }
  }
  return found;
}
