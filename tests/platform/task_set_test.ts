import assert from "node:assert/strict";
import { TaskSet } from "../../platform/task_set.ts";

Deno.test("TaskSet waits for what is running, forgets what has ended, and reports failures", async () => {
  const failures: string[] = [];
  const tasks = new TaskSet((error) => void failures.push(String(error)));
  const gate = Promise.withResolvers<void>();
  tasks.add(gate.promise);
  tasks.add(Promise.reject(new Error("no")));
  assert.equal(tasks.size, 2);
  let isSettled = false;
  const settled = tasks.settled().then(() => isSettled = true);
  await new Promise<void>((resolve) => setTimeout(resolve, 0));
  assert.deepEqual([isSettled, tasks.size, failures], [false, 1, ["Error: no"]]);
  gate.resolve();
  await settled;
  assert.equal(tasks.size, 0);
});
