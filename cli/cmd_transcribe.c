/* stapes transcribe: files in, text out. */
#include "cli.h"

static int run(cli *c, void *args) {
    (void)args;
    return cli_fail(c, STAPES_E_UNSUPPORTED, NULL, "no engine in this build");
}

const cli_command cli_command_transcribe = {
    .name = "transcribe",
    .summary = "turn recordings into text",
    .usage = "[options] FILE|DIR|-...",
    .description = "Reads recordings and writes what is said in them.",
    .files = true,
    .groups = CLI_GROUP_ENGINE,
    .run = run,
};
