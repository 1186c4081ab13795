/**
 * Metrics in the Prometheus text format. Everything is read on request; nothing here is on the path of what is
 * counted.
 *
 * @module
 */

import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { HttpAnswer, HttpRoute } from "./http_server.ts";

/** Labels of a sample. */
export type Labels = Readonly<Record<string, string>>;
/** One number of a family of metrics. */
export type Sample = readonly [labels: Labels, value: number];

/** What a histogram of durations counts for one label. */
export interface Durations {
  /** Counts between the bounds, the last one above all of them. */
  readonly buckets: ArrayLike<number>;
  /** All together. */
  readonly count: number;
  /** Seconds, all together. */
  readonly seconds: number;
}

/** The metrics of one program; their names begin with `pilot_`. */
export class MetricSet {
  readonly #registry: Registry = new Registry();
  #running: Promise<string> | undefined;

  /** The metrics now. Askers at the same time share one answer. */
  async answer(): Promise<HttpAnswer> {
    this.#running ??= this.#registry.metrics().finally(() => this.#running = undefined);
    return { status: 200, body: await this.#running, type: this.#registry.contentType };
  }

  /** A counter, with one sample for each set of labels; its name ends with `_total`. */
  counters(name: string, help: string, labelNames: string[], samples: () => Sample[]): void {
    const counter: Counter = new Counter({
      name: `pilot_${name}_total`,
      help,
      labelNames,
      registers: [],
      collect: () => {
        counter.reset();
        for (const [labels, value] of samples()) counter.inc(labels, value);
      },
    });
    this.#registry.registerMetric(counter);
  }

  /** A counter without labels. */
  counter(name: string, help: string, value: () => number): void {
    this.counters(name, help, [], () => [[{}, value()]]);
  }

  /** A gauge without labels. */
  gauge(name: string, help: string, value: () => number): void {
    this.gauges(name, help, [], () => [[{}, value()]]);
  }

  /** A gauge, with one sample for each set of labels. */
  gauges(name: string, help: string, labelNames: string[], samples: () => Sample[]): void {
    const gauge: Gauge = new Gauge({
      name: `pilot_${name}`,
      help,
      labelNames,
      registers: [],
      collect: () => {
        gauge.reset();
        for (const [labels, value] of samples()) gauge.set(labels, value);
      },
    });
    this.#registry.registerMetric(gauge);
  }

  /** A histogram of durations that are counted elsewhere, by the label `type`; its name ends with `_seconds`. */
  durations(
    name: string,
    help: string,
    bounds: readonly number[],
    entries: () => Iterable<readonly [type: string, durations: Durations]>,
  ): void {
    this.#registry.registerMetric(
      new PlainHistogram(`pilot_${name}_seconds`, help, bounds, entries),
    );
  }
}

/** Serves metrics to this machine; what makes them is loaded when first asked for, as that takes long. */
export function metricsRoute(load: () => Promise<MetricSet>): HttpRoute {
  let metrics: Promise<MetricSet> | undefined;
  return {
    isForThisMachine: true,
    answer: async () => await (await (metrics ??= load())).answer(),
  };
}

type HistogramValues = Awaited<ReturnType<Histogram["get"]>>;

/** A histogram whose numbers are counted elsewhere. */
class PlainHistogram extends Histogram {
  /** The same without numbers. */
  readonly #empty: Histogram;
  readonly #bounds: readonly number[];
  readonly #entries: () => Iterable<readonly [type: string, durations: Durations]>;

  constructor(
    name: string,
    help: string,
    bounds: readonly number[],
    entries: () => Iterable<readonly [type: string, durations: Durations]>,
  ) {
    const configuration = { name, help, labelNames: ["type"], registers: [] };
    super(configuration);
    this.#empty = new Histogram(configuration);
    this.#bounds = bounds;
    this.#entries = entries;
  }

  override async get(): Promise<HistogramValues> {
    const base = await this.#empty.get();
    const { name } = base;
    const values: HistogramValues["values"] = [];
    for (const [type, { buckets, count, seconds }] of this.#entries()) {
      let below = 0;
      for (const [index, bound] of [...this.#bounds, "+Inf"].entries()) {
        below += buckets[index]!;
        values.push({ metricName: `${name}_bucket`, labels: { le: bound, type }, value: below });
      }
      values.push({ metricName: `${name}_sum`, labels: { type }, value: seconds });
      values.push({ metricName: `${name}_count`, labels: { type }, value: count });
    }
    return { ...base, values };
  }

  /** What prom-client's own text form asks for first. */
  getForPromString(): Promise<HistogramValues> {
    return this.get();
  }
}
