// What a registry does to its process where that has nothing else to do; whoever embeds one does it by a flag.
const { avoidMarkingTasks } = await import(
  new URL('garbage-collection.js', import.meta.resolve('@membrane/registry')).href
);
avoidMarkingTasks();
