/**
 * What a check of `doctor` is, and what it sees.
 *
 * @module
 */

import type { DaemonOptions, Settings } from "../../platform/settings/mod.ts";
import type { PilotError } from "../../protocol/errors.ts";
import type { CliDriver } from "../invocation.ts";
import type { NetcheckReport } from "../netcheck/netcheck_report.ts";

/** How a check ended: "skip" when what it looks at is not there. */
export type CheckStatus = "ok" | "warn" | "fail" | "skip";

/** What a check found. */
export interface CheckResult {
  readonly status: CheckStatus;
  /** One sentence. Never a key or a token. */
  readonly detail: string;
  /** What to do, for "warn" and "fail". */
  readonly fix?: string;
}

/** What the checks look at. */
export interface Patient {
  /** Where everything is; without the config file's part where that cannot be used. */
  readonly settings: Settings;
  /** Why the config file cannot be used. */
  readonly configError: PilotError | undefined;
  /** How a daemon would run; undefined where that makes no sense. */
  readonly options: DaemonOptions | undefined;
  /** What the daemon says about itself; undefined when none answers. */
  readonly info: Readonly<Record<string, unknown>> | undefined;
  /** Asks the daemon, as long as it answers. */
  readonly ask: <T>(question: (driver: CliDriver) => Promise<T>) => Promise<T>;
  /** The network, as `netcheck` sees it; undefined without options. */
  readonly network: Omit<NetcheckReport, "daemon"> | undefined;
}

/** One check. */
export interface Check {
  /** Stable name, for scripts. */
  readonly id: string;
  /** For people. */
  readonly title: string;
  /** Looks. What it throws counts as failed. */
  run(patient: Patient): Promise<CheckResult> | CheckResult;
}

/** All is well. */
export const ok = (detail: string): CheckResult => ({ status: "ok", detail });
/** There is nothing to look at. */
export const skip = (detail: string): CheckResult => ({ status: "skip", detail });
/** It works, but. */
export const warn = (detail: string, fix: string): CheckResult => ({ status: "warn", detail, fix });
/** It does not work. */
export const fail = (detail: string, fix: string): CheckResult => ({ status: "fail", detail, fix });
