/**
 * Does what the parent process asks for by name, and answers with what it comes to; ends with it, or where it fails.
 * @param {Readonly<Record<string, (task: any) => Promise<unknown>>>} tasks
 */
export function answerParent(tasks) {
  process.on('message', async (/** @type {{ what: string }} */ task) => {
    try {
      process.send?.({ value: await tasks[task.what]?.(task) });
    } catch (error) {
      console.error(error);
      process.exit(1);
    }
  });
  process.once('disconnect', () => process.exit());
}
