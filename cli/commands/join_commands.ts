/**
 * `join`: one command that configures a home for a rendezvous, safely.
 *
 * @module
 */

import { join as joinPath } from "node:path";
import { type ErrorCode, PilotError } from "../../protocol/errors.ts";
import { DAEMON, PLACES, type Settings } from "../../platform/settings/mod.ts";
import { configKey } from "../../platform/settings/setting.ts";
import type { JoinTarget } from "../../platform/join_uri.ts";
import { probeInfo } from "../daemon_process.ts";
import { usageError } from "../command_failure.ts";
import type { Invocation } from "../invocation.ts";
import { fields, type Outcome } from "../output.ts";
import type { CommandSpec } from "../spec.ts";
import { lines, safe } from "../terminal_text.ts";

/** Longest time for the check of the registry, milliseconds: it connects and asks three times. */
const CHECK_MS = 6_000;
/** Environment variables that come before what `join` writes, and which value of it each replaces. */
const OVERRIDES = [PLACES.registry, PLACES.beacon, DAEMON.registryFingerprint, DAEMON.registryKey]
  .map((setting) => [setting.env!, configKey(setting) as keyof Patch & string] as const);

/** What is written to the config file; undefined removes what an earlier registry left there. */
interface Patch extends Record<string, unknown> {
  readonly registry: string;
  readonly beacon: string;
  readonly registry_tls: boolean | undefined;
  readonly registry_fingerprint: string | undefined;
  readonly registry_key: string | undefined;
}

/** Where a home has its number from. */
interface Origin {
  readonly node: number;
  readonly registry: string;
  /** Its public key, base64, where one was pinned. */
  readonly key: string | undefined;
}

async function join(call: Invocation): Promise<Outcome> {
  const { options } = call;
  for (const name of ["registry", "beacon"]) {
    if (options.has(name)) throw usageError(`The URI names the ${name}: leave --${name} out`);
  }
  const target = await readTarget(call.arg(0, "uri"));
  const patch: Patch = {
    registry: target.registry,
    beacon: target.beacon,
    registry_tls: target.fingerprint === undefined ? undefined : true,
    registry_fingerprint: target.fingerprint,
    registry_key: target.registryKey,
  };
  if (options.flag("print") === true) return { data: nulls(patch), text: patchText(patch) };
  const settings = await call.settings();
  const origin = await originOf(settings);
  if (options.flag("force") !== true) {
    if (origin !== undefined) refuseOther(settings, origin, target);
    refuseWeaker(settings, target);
  }
  await checkTarget(call, target);
  const { updateConfigFile } = await import("../../platform/settings/mod.ts");
  const { rawConfig, configPath } = settings;
  const changed = Object.entries(patch).some(([key, value]) => rawConfig[key] !== value);
  if (changed) await updateConfigFile(configPath, patch);
  return await report(call, { settings, patch, changed });
}

async function readTarget(text: string): Promise<JoinTarget> {
  if (/^\d+$/.test(text)) {
    throw usageError(
      `Not a pilot:// URI: "${text}"`,
      `To join a network: pilotctl network join ${text}`,
    );
  }
  const { parseJoinUri } = await import("../../platform/join_uri.ts");
  return parseJoinUri(text);
}

/** Reads where the home was registered last; undefined when it never was. */
async function originOf({ home, config }: Settings): Promise<Origin | undefined> {
  const [{ readTextFile }, { DEFAULT_REGISTRY }] = await Promise.all([
    import("../../platform/private_files.ts"),
    import("../../platform/settings/mod.ts"),
  ]);
  const text = await readTextFile(joinPath(home, "node.json"));
  if (text === undefined) return undefined;
  let file: { node?: unknown; registry?: unknown; registryKey?: unknown };
  try {
    file = JSON.parse(text) ?? {};
  } catch {
    return undefined; // only a cache of what the registry says: the daemon takes it for absent, too
  }
  const { node, registry, registryKey } = file;
  if (typeof node !== "number" || node === 0) return undefined;
  return {
    node,
    // Older daemons did not note it.
    registry: typeof registry === "string" ? registry : config.registry ?? DEFAULT_REGISTRY,
    key: typeof registryKey === "string" ? registryKey : config.registryKey,
  };
}

/** A registry is its key, and a URI without it would drop the pin; where no key is known, it is its address. */
function refuseOther({ home }: Settings, origin: Origin, target: JoinTarget): void {
  const isSame = origin.key !== undefined
    ? origin.key === target.registryKey
    : origin.registry === target.registry;
  if (isSame) return;
  const what = origin.registry !== target.registry
    ? `${origin.registry}, not ${target.registry}`
    : target.registryKey === undefined
    ? `${origin.registry}, whose key is pinned and not in the URI`
    : `${origin.registry} with another key`;
  throw new PilotError("invalid_state", `${home} is node ${origin.node} of the registry ${what}`, {
    hint:
      "Its number and its trusted peers belong to that registry. For this one use another home (--home), or " +
      "--force if it is the same registry, or to leave the old one.",
  });
}

/** The same registry without its certificate would be asked in plain TCP from now on. */
function refuseWeaker({ rawConfig }: Settings, target: JoinTarget): void {
  const { registry, registry_fingerprint: fingerprint } = rawConfig;
  if (fingerprint === undefined || registry !== target.registry) return;
  if (target.fingerprint !== undefined) return;
  throw new PilotError(
    "invalid_state",
    `The certificate of ${target.registry} is pinned, and the URI has no fingerprint`,
    { hint: "Use the complete URI that the rendezvous shows, or --force to connect without TLS." },
  );
}

/** Before anything is written: does it answer, and is it the one that the URI means? */
async function checkTarget(call: Invocation, target: JoinTarget): Promise<void> {
  const [{ checkRegistry }, { TimeLeft }] = await Promise.all([
    import("../netcheck/registry_probe.ts"),
    import("../netcheck/time_left.ts"),
  ]);
  const { report } = await checkRegistry({
    registry: target.registry,
    registryTls: target.fingerprint !== undefined,
    registryFingerprint: target.fingerprint,
    registryKey: target.registryKey,
  }, new TimeLeft(CHECK_MS, call.signal));
  if (call.signal.aborted) throw new PilotError("aborted", "Interrupted, nothing was written");
  if (report.reachable) return;
  const code = (report.error_code ?? "unavailable") as ErrorCode;
  throw new PilotError(code, `Not joined: ${report.error}`, {
    hint: code === "untrusted"
      ? "The URI may be outdated: compare it with what `rendezvous status` shows on the server. If it is the " +
        "same, another server answers there. Nothing was written."
      : "Check that the rendezvous is running and that firewalls allow TCP to this port. Nothing was written.",
  });
}

async function report(
  call: Invocation,
  { settings, patch, changed }: { settings: Settings; patch: Patch; changed: boolean },
): Promise<Outcome> {
  const info = await probeInfo(call, settings);
  const restart = info !== undefined && changed;
  const overridden = OVERRIDES.filter(([name, key]) => {
    const value = call.host.env(name);
    return value !== undefined && value !== "" && value !== patch[key];
  }).map(([name]) => name);
  const pins = [
    patch.registry_tls === true ? "TLS, certificate pinned" : "plain TCP",
    patch.registry_key === undefined ? undefined : "key pinned",
  ].filter((part) => part !== undefined).join(", ");
  const data = {
    config_path: settings.configPath,
    ...nulls(patch),
    changed,
    overridden,
    restart_needed: restart,
  };
  const list = fields([
    ["Registry", `${patch.registry} (${pins})`],
    ["Beacon", patch.beacon],
    ["Config", settings.configPath],
  ]);
  const text = lines([
    call.style.good(changed ? "Joined" : "Already joined, nothing changed"),
    list,
    ...overridden.map((name) => `${name} is set and overrides the config file`),
    restart
      ? call.hint(
        "The running daemon keeps its old settings until it is restarted: pilotctl daemon stop, pilotctl daemon start",
      )
      : info === undefined
      ? call.hint("Next: pilotctl daemon start")
      : undefined,
  ]);
  return { data, text };
}

function nulls(patch: Patch): Record<string, unknown> {
  return Object.fromEntries(Object.entries(patch).map(([key, value]) => [key, value ?? null]));
}

function patchText(patch: Patch) {
  return lines(
    Object.entries(patch).map(([key, value]) => safe`${key} = ${value ?? "(removed)"}`),
  );
}

/** The command. */
export const joinCommand: CommandSpec = {
  name: "join",
  summary: "Use a rendezvous: check it, then pin it in the config file",
  args: "<uri>",
  options: [
    { flags: "--force", description: "Join even if this home is registered elsewhere" },
    { flags: "--print", description: "Show what would be written, without connecting or writing" },
  ],
  examples: [
    "join 'pilot://rendezvous.example:9000?beacon=rendezvous.example:9001&fingerprint=HEX&key=KEY'",
  ],
  notes:
    `The operator of the rendezvous has the URI: the server prints it, and so does pilotctl rendezvous status.
Other settings are kept. Afterwards pilotctl daemon start needs no flags.`,
  returns:
    "config_path, registry, beacon, registry_tls, registry_fingerprint, registry_key, changed, overridden[] " +
    "(environment variables that come first), restart_needed; with --print the five settings",
  run: join,
};
