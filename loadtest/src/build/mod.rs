//! A whole build: every compile of a `compile_commands.json`, on the server.
