/**
 * Advice: what to do about a failure, as an id with data. The program that shows it has the words, since they depend
 * on what is at hand there: commands and options in a terminal (`cli/advice_text.ts`), calls in a program.
 *
 * @module
 */

import { isJsonObject } from "./json_object.ts";

const NONE = {} as const;

/**
 * The fields of each piece of advice, by its id, with their types; those with `?` may be missing. Ids are stable; new
 * ones are added.
 */
export const ADVICE = {
  // The local daemon.
  /** Start the daemon; or name that other one, which serves `socket`. */
  start_daemon: { socket: "string?" },
  /** See whether the daemon runs. */
  check_daemon: NONE,
  /** See whether the daemon runs, and end programs that use it: it may have too many clients. */
  check_daemon_clients: NONE,
  /** Use the daemon of this package, of this version or a later one: the running one has no such command. */
  use_this_daemon: NONE,
  /** Stop the daemon that runs. */
  stop_daemon: NONE,
  /** Stop the daemon that serves this socket, or use another socket. */
  stop_daemon_or_move: NONE,
  /** Remove the file, or use another socket. */
  move_socket: NONE,
  /** Use a socket path below 100 bytes. */
  shorten_socket: NONE,
  /** Name this socket of another user, to use it anyway. */
  name_socket: { socket: "string" },
  /** Wait: the daemon keeps trying to register, and `info` says how far it is. */
  await_registration: NONE,

  // Peers, networks, services.
  /** See whether the peer is known: it may be offline or unreachable. */
  check_peer: NONE,
  /** See whether the peer trusts this node: it may also be offline or unreachable. */
  check_trust: NONE,
  /** Ping the node, which opens a tunnel to it. */
  open_tunnel: { node: "number" },
  /** Ask the node for trust. */
  ask_trust: { node: "number" },
  /** Reject the node's request for trust. */
  reject_request: { node: "number" },
  /** List the requests for trust, to see who asked. */
  list_requests: NONE,
  /** Join the network, to let its members in. */
  join_network: { network: "number" },
  /** List the networks. */
  list_networks: NONE,
  /** Send again when the other side has made room in its inbox. */
  await_room: NONE,
  /** Pipe the content in, with a name of its own. */
  pipe_content: NONE,
  /** Pipe the file in, with another name. */
  pipe_renamed: NONE,
  /** Give a name without directories and control characters, of 255 bytes at most. */
  name_file: NONE,
  /** Clear the hostname instead of setting an empty one. */
  clear_hostname: NONE,

  // Any setting, by its name in the tables of settings.
  /** Give this setting. */
  give_setting: { setting: "string" },
  /** Give this setting another value. */
  choose_other: { setting: "string" },
  /** End the program that listens there, or give this setting another address. */
  free_address: { setting: "string" },
  /** Check the address that this setting holds. */
  check_address: { setting: "string" },
  /** Leave this setting out to have the fastest form that works. */
  leave_out: { setting: "string" },
  /** Correct this key in the config file. */
  correct_config: { key: "string" },
  /** Correct the config file, or make a new one. */
  reset_config: NONE,

  // The registry as its clients see it.
  /** See whether the registry runs, and whether its address is right. */
  check_registry: NONE,
  /** Pin the certificate of the registry: it speaks TLS. */
  pin_certificate: NONE,
  /** Compare the pinned key with that of the server; one that signs no answers cannot be pinned. */
  compare_registry_key: NONE,
  /** Compare the certificate with that of the server; `setting` holds the fingerprint. */
  compare_certificate: { setting: "string" },
  /** See whether the server speaks TLS; for one that does not, leave `setting` out. */
  check_tls: { setting: "string" },
  /** Pin the key of the registry: an attacker may be on the path to it. */
  pin_registry_key: NONE,
  /** Pin the registry, or accept it as it is. */
  pin_registry: NONE,
  /** Read the fingerprint on the server: 64 hex digits. */
  read_fingerprint: NONE,
  /** Give the fingerprint of the certificate as well, as the server shows it. */
  add_fingerprint: NONE,
  /** Read the key on the server: base64 of 32 bytes. */
  read_registry_key: NONE,
  /** Take the whole join URI, as the server shows it, in quotes. */
  quote_join_uri: NONE,
  /** Quote the join URI; a registry that has no pins is not joined but named. */
  join_unpinned: NONE,

  // The servers.
  /** Name the store, or the address of the running server. */
  name_store_or_http: NONE,
  /** See whether the server answers over HTTP; or ask its store. */
  check_http: NONE,
  /** Ask the server by its IP address, or let it answer to that name. */
  check_http_name: NONE,
  /** Choose another file, or have it replaced. */
  replace_file: NONE,
  /** Do not start over, or name a new store. */
  keep_store: NONE,
  /** Stop the server that uses the store, or name another store. */
  stop_server: NONE,
  /** Restore the database from a backup, or start over. */
  restore_store: NONE,
  /** Start a server on the backup, which needs no import. */
  start_on_backup: NONE,
  /** Give the PEM files, the server's own certificate first. */
  give_pem_files: NONE,
  /** Pin the certificate of the registry that lists the beacons, if it speaks TLS. */
  pin_listing: NONE,
  /** Give the join URI of the registry that lists the beacons, or its fingerprint. */
  pin_beacon_registry: NONE,
  /** Give this beacon the token of the cluster. */
  give_beacon_token: NONE,
  /** Name another probe port, or none. */
  move_probe_port: NONE,
  /** Close connections, or run a second gateway. */
  second_gateway: NONE,
  /** Use ports that need no rights. */
  free_ports: NONE,
  /** Use a larger subnet, or fewer targets. */
  larger_subnet: NONE,
  /** Start the daemon and the gateway again. */
  restart_gateway: NONE,
} as const;

/** Name of a piece of advice. */
export type AdviceId = keyof typeof ADVICE;

/** Values of the fields, by their types in {@linkcode ADVICE}. */
export type AdviceFields<Types> =
  & { readonly [F in keyof Types as Types[F] extends "number" ? F : never]: number }
  & { readonly [F in keyof Types as Types[F] extends "string" ? F : never]: string }
  & { readonly [F in keyof Types as Types[F] extends "string?" ? F : never]?: string };

/** What to do about a failure: its `id`, and the fields that belong to it. */
export type Advice = {
  readonly [Id in AdviceId]: { readonly id: Id } & AdviceFields<(typeof ADVICE)[Id]>;
}[AdviceId];

/** Puts advice into words. */
export type Advise = (advice: Advice) => string;

/**
 * Reads advice that another process has sent.
 *
 * @param value JSON of it.
 * @returns The advice with the fields that belong to it and no others; undefined for ids of later versions, and for
 * fields of a wrong type.
 */
export function adviceOf(value: unknown): Advice | undefined {
  if (!isJsonObject(value)) return undefined;
  const { id } = value;
  if (typeof id !== "string" || !Object.hasOwn(ADVICE, id)) return undefined;
  const advice: Record<string, unknown> = { id };
  for (const [name, type] of Object.entries<string>(ADVICE[id as AdviceId])) {
    const field = Object.hasOwn(value, name) ? value[name] : undefined;
    if (field === undefined && type.endsWith("?")) continue;
    const isRight = type === "number"
      ? Number.isSafeInteger(field) && Number(field) >= 0
      : typeof field === "string";
    if (!isRight) return undefined;
    advice[name] = field;
  }
  return advice as Advice;
}
