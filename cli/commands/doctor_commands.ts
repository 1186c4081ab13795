/**
 * `doctor`: what is wrong with this installation, and what to do.
 *
 * @module
 */

import { hintOf } from "../advice_text.ts";
import type { DaemonOptions, Settings } from "../../platform/settings/mod.ts";
import { PilotError } from "../../protocol/errors.ts";
import { probeInfo } from "../daemon_process.ts";
import type { Check, CheckResult, CheckStatus, Patient } from "../doctor/doctor_check.ts";
import { EXIT_OK } from "../exit_codes.ts";
import type { Invocation } from "../invocation.ts";
import { counted, type Outcome, type Style } from "../output.ts";
import { lines, safe, type SafeText } from "../terminal_text.ts";
import type { CommandSpec } from "../spec.ts";
import { unlessAborted } from "../../platform/waiting.ts";
import { within } from "../wait.ts";

/** What `doctor` ends with when a check failed. */
const EXIT_UNWELL = 1;
/** Longest time for one check over the network, milliseconds. */
const CHECK_MS = 3_000;

interface CheckReport extends CheckResult {
  readonly id: string;
  readonly title: string;
}

async function run(call: Invocation): Promise<Outcome> {
  const [{ HOME_CHECKS }, { DAEMON_CHECKS }, { NETWORK_CHECKS }] = await Promise.all([
    import("../doctor/home_checks.ts"),
    import("../doctor/daemon_checks.ts"),
    import("../doctor/network_checks.ts"),
  ]);
  const patient = await examine(call);
  const reports = await Promise.all(
    [...HOME_CHECKS, ...DAEMON_CHECKS, ...NETWORK_CHECKS].map((check) => look(check, patient)),
  );
  const checks = reports.map((report) =>
    report.fix === undefined ? report : { ...report, fix: call.hint(report.fix) }
  );
  if (call.signal.aborted) throw new PilotError("aborted", "Interrupted");
  const count = (status: CheckStatus) => checks.filter((check) => check.status === status).length;
  const failed = count("fail");
  const data = { healthy: failed === 0, failed, warnings: count("warn"), checks };
  const summary = failed > 0
    ? call.style.bad(`${failed} failed`)
    : call.style.good("Nothing failed");
  const texts = checks.map((check) => checkText(check, call.style));
  return {
    data,
    text: lines([...texts, "", safe`${summary}, ${counted(data.warnings, "warning")}`]),
    exitCode: failed > 0 ? EXIT_UNWELL : EXIT_OK,
  };
}

async function look(check: Check, patient: Patient): Promise<CheckReport> {
  const { id, title } = check;
  try {
    return { id, title, ...await check.run(patient) };
  } catch (thrown) {
    const error = PilotError.from(thrown, "internal");
    const fix = hintOf(error) ?? "Correct what the message names, and run pilotctl doctor again.";
    return { id, title, status: "fail", detail: error.message, fix };
  }
}

/** Gathers what the checks look at; what cannot be had is undefined. */
async function examine(call: Invocation): Promise<Patient> {
  const { netcheck } = await import("../netcheck/netcheck.ts");
  const { settings, options, configError } = await readSettings(call);
  const [info, network] = await Promise.all([
    probeInfo(call, settings),
    options && netcheck({ ...options, signal: call.signal }),
  ]);
  return {
    settings,
    configError,
    options,
    info,
    network,
    ask: (question) =>
      within(
        CHECK_MS,
        call.signal,
        "The daemon",
        async (signal) => await unlessAborted(signal, question(await call.driver())),
      ),
  };
}

async function readSettings(call: Invocation): Promise<{
  settings: Settings;
  options: DaemonOptions | undefined;
  configError: PilotError | undefined;
}> {
  const { resolveDaemonOptions } = await import("../../platform/settings/mod.ts");
  let settings: Settings | undefined;
  try {
    settings = await call.settings();
    return { settings, options: resolveDaemonOptions(settings), configError: undefined };
  } catch (thrown) {
    return {
      settings: settings ?? await call.settingsWithoutConfig(),
      options: undefined,
      configError: PilotError.from(thrown, "invalid_argument"),
    };
  }
}

const MARKS: Readonly<Record<CheckStatus, string>> = {
  ok: "ok  ",
  warn: "warn",
  fail: "FAIL",
  skip: "-   ",
};

function checkText({ status, title, detail, fix }: CheckReport, style: Style): SafeText {
  const paint = { ok: style.good, warn: style.bold, fail: style.bad, skip: style.dim }[status];
  const line = safe`${paint(MARKS[status])}  ${title}: ${detail}`;
  return fix === undefined ? line : safe`${line}\n      ${style.dim("fix:")} ${fix}`;
}

/** The command. */
export const doctorCommand: CommandSpec = {
  name: "doctor",
  summary: "Check this installation and suggest fixes",
  examples: ["doctor", "doctor --json"],
  notes: "Exits with 1 if a check failed. Never prints keys or tokens.",
  returns:
    "healthy, failed, warnings, checks[{id, title, status (ok, warn, fail, skip), detail, fix}]; exit code 1 when a check failed",
  run,
};
