/**
 * Advice in the words of the command line: what errors of the other parts say by an id, here with commands and options.
 *
 * @module
 */

import type { Advice, AdviceId } from "../protocol/advice.ts";
import type { PilotError } from "../protocol/errors.ts";
import { DAEMON, PLACES } from "../platform/settings/mod.ts";
import { GATEWAY, RENDEZVOUS } from "../platform/settings/server_table.ts";
import { quoted } from "./hints.ts";
import { configKey, type SettingTable } from "../platform/settings/setting.ts";

const TABLES: readonly SettingTable[] = [PLACES, DAEMON, RENDEZVOUS, GATEWAY];

/** The option of a setting, `--registry-key`; what no table knows is shown as it is. */
function option(name: string): string {
  const flag = TABLES.find((table) => Object.hasOwn(table, name))?.[name]?.flag;
  return flag === undefined ? name : `--${flag}`;
}

const REGISTRATION = "The daemon keeps trying to register; see: pilotctl info";
const ON_SERVER = "`pilotctl rendezvous status` shows it on the server";
const TO_INIT = "Correct the file, or move it away and run: pilotctl init";
const REPLACED = "pilotctl send-file TARGET - --name NAME";

/** Words by id. */
type Words = {
  readonly [Id in AdviceId]: (advice: Extract<Advice, { readonly id: Id }>) => string;
};

const WORDS: Words = {
  start_daemon: ({ socket }) =>
    "Start it: pilotctl daemon start" +
    (socket === undefined ? "" : `. To use the other one: ${option("socket")} ${quoted(socket)}`),
  check_daemon: () => "Check whether it is running: pilotctl daemon status",
  check_daemon_clients: () =>
    "Check whether it is running: pilotctl daemon status. It may have too many clients: end programs that use it.",
  use_this_daemon: () =>
    "Use the daemon of this package, this version or newer: pilotctl daemon run",
  stop_daemon: () => "Stop it first: pilotctl daemon stop",
  stop_daemon_or_move: () =>
    `Stop it with: pilotctl daemon stop, or use another ${option("socket")}.`,
  move_socket: () => `Remove the file or use another ${option("socket")}.`,
  shorten_socket: () => `Use a path below 100 bytes, for example with ${option("socket")}.`,
  name_socket: ({ socket }) => `To use it anyway, name it: ${option("socket")} ${quoted(socket)}`,
  await_registration: () => REGISTRATION,

  check_peer: () => "The peer may be offline or unreachable; see: pilotctl peers",
  check_trust: () =>
    "The peer may be offline, unreachable, or not trust this node yet; see: pilotctl trust",
  open_tunnel: ({ node }) =>
    `\`pilotctl ping ${node}\` opens one, if the peer is there and trusts this node.`,
  ask_trust: ({ node }) => `Request it: pilotctl handshake ${node}`,
  reject_request: ({ node }) => `It has asked for trust: \`pilotctl reject ${node}\` refuses it.`,
  list_requests: () => "See who asked: pilotctl pending",
  join_network: ({ network }) =>
    `its members are not let in; pilotctl network join ${network} does`,
  list_networks: () => "List the networks: pilotctl network list",
  await_room: () =>
    "It was not stored. Only the receiver can make room, by removing messages (pilotctl inbox) or files " +
    "(pilotctl received); then send it again.",
  pipe_content: () => `To send the output of a program, pipe it in: ${REPLACED}`,
  pipe_renamed: () => `Send the content under another name: ${REPLACED} <FILE`,
  name_file: () =>
    "Give a name (send-file: --name) without directories and control characters, at most 255 bytes long.",
  clear_hostname: () => "To release it: pilotctl clear-hostname",

  give_setting: ({ setting }) => `Give it with ${option(setting)}.`,
  choose_other: ({ setting }) => `Choose another with ${option(setting)}.`,
  free_address: ({ setting }) =>
    `Stop the program that listens there, or choose another address with ${option(setting)}.`,
  check_address: ({ setting }) => `Check the address given with ${option(setting)}.`,
  leave_out: ({ setting }) => `Leave ${option(setting)} out to use the fastest that works.`,
  correct_config: ({ key }) =>
    `Correct it in the file or run: pilotctl config --set ${quoted(key)}=VALUE`,
  reset_config: () => TO_INIT,

  check_registry: () =>
    `Check that the rendezvous runs and that ${
      option("registry")
    }, ${PLACES.registry.env} or config.json names it.`,
  pin_certificate: () =>
    `Pin its certificate: join with its URI, or give ${
      option("registryFingerprint")
    }; ${ON_SERVER}.`,
  compare_registry_key: () =>
    `Compare ${
      option("registryKey")
    } with the key that \`pilotctl rendezvous status\` shows on the server. ` +
    `Registries that do not sign answers need a daemon without ${option("registryKey")}.`,
  compare_certificate: ({ setting }) =>
    "If its operator confirms the new fingerprint (pilotctl rendezvous status), join again or give it with " +
    `${option(setting)}; otherwise another server answers there.`,
  check_tls: ({ setting }) =>
    `Check that the rendezvous runs without --no-tls; for one that has no TLS, leave ${
      option(setting)
    } out.`,
  pin_registry_key: () =>
    `An attacker may be on the network path to it: pin its key with ${option("registryKey")}.`,
  pin_registry: () =>
    "Pin it with the command that its operator has (pilotctl join 'pilot://...'), or accept it as it is: " +
    `pilotctl config --set ${configKey(DAEMON.registryPlain)}=accept (also ${
      option("registryPlain")
    }, ${DAEMON.registryPlain.env}).`,
  read_fingerprint: () => `It has 64 hex digits; ${ON_SERVER}.`,
  add_fingerprint: () => `Give ${option("registryFingerprint")}; ${ON_SERVER}.`,
  read_registry_key: () => `It is the base64 of 32 bytes; ${ON_SERVER}.`,
  quote_join_uri: () =>
    "`pilotctl rendezvous status` shows the whole line on the server. " +
    "Put it in single quotes: & and ? are special characters in a shell.",
  join_unpinned: () =>
    "Put it in single quotes: a shell cuts it off at the first &. For a registry that has neither: " +
    `pilotctl init ${option("registry")} HOST:9000 ${option("beacon")} HOST:9001`,

  name_store_or_http: () =>
    `Name the server's directory with ${option("store")}, or its address with ${option("http")}.`,
  check_http: () =>
    `Check that it runs with ${option("http")} on that address; ${
      option("store")
    } reads its directory instead.`,
  check_http_name: () =>
    `Use its IP address, or make the server accept that name with ${option("httpHost")}.`,
  replace_file: () => "Choose another name, or replace it with --force.",
  keep_store: () =>
    `Start without ${option("newStore")}, or name a new directory with ${option("store")}.`,
  stop_server: () => `Stop that server first, or choose another directory with ${option("store")}.`,
  restore_store: () =>
    "Nothing was changed. Restore a backup (`pilotctl rendezvous backup` makes them). To start over, " +
    `assigning node numbers again that were in use before, start once with ${option("newStore")}.`,
  start_on_backup: () =>
    `A backup needs no import: put it in a new directory as registry.db and start with ${
      option("store")
    } on it.`,
  give_pem_files: () =>
    `Give the PEM files with ${option("tlsCert")} and ${
      option("tlsKey")
    }, the server's own certificate first.`,
  pin_listing: () =>
    `If it runs with --tls, pin its certificate with ${option("beaconRegistryFingerprint")}.`,
  pin_beacon_registry: () =>
    `give ${option("beaconRegistry")} its pilot:// URI, or ${option("beaconRegistryFingerprint")}`,
  give_beacon_token: () =>
    `Give this beacon the token of the cluster: ${option("beaconTokenFile")}`,
  move_probe_port: () => `${option("beaconProbePort")} names another port, 0 none`,
  second_gateway: () =>
    `Close some of them, or run a second gateway with another ${option("subnet")}.`,
  free_ports: () => `Ports below 1024 need root; choose others with ${option("ports")}.`,
  larger_subnet: () => `Use a larger ${option("subnet")} or fewer targets.`,
  restart_gateway: () => "Start both again: pilotctl daemon start, pilotctl gateway run",
};

/**
 * Puts advice into words.
 *
 * @param advice What to do.
 * @returns A sentence or two, with commands as `pilotctl NAME`; `withPlaces` adds which agent is meant.
 */
export function adviceText(advice: Advice): string {
  const words = WORDS[advice.id] as (advice: Advice) => string;
  return words(advice);
}

/**
 * What to do about an error, for people.
 *
 * @param error The error.
 * @returns Its hint, or its advice in words; undefined when there is neither.
 */
export function hintOf({ hint, advice }: Pick<PilotError, "hint" | "advice">): string | undefined {
  return hint ?? (advice === undefined ? undefined : adviceText(advice));
}
