/* What `stapes bench` prints. The table is made from the JSON tree, so that both say the same. */
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "bench/bench.h"
#include "commit.h"

static const char *const stage_names[BENCH_STAGES] = {"mel", "encode", "decode", "total"};

json_t *bench_row_json(const bench_row *row) {
    double median = row->stages[BENCH_TOTAL].median;
    json_t *tree =
        json_pack("{s:i, s:f, s:i, s:i, s:I, s:f, s:f}", "threads", row->threads, "seconds",
                  row->seconds, "runs", row->runs, "windows", (int)row->windows, "tokens",
                  (json_int_t)row->tokens, "rtf", row->seconds > 0 ? median / row->seconds : 0,
                  "speed", median > 0 ? row->seconds / median : 0);
    for (int i = 0; tree && i < BENCH_STAGES; i++) {
        const bench_stage *stage = &row->stages[i];
        json_object_set_new(
            tree, stage_names[i],
            json_pack("{s:f, s:f}", "median", stage->median, "min", stage->smallest));
    }
    return tree;
}

json_t *bench_load_json(const bench_load *load) {
    return json_pack("{s:i, s:f, s:I}", "threads", load->threads, "seconds", load->seconds,
                     "peak_rss_bytes", (json_int_t)load->peak_bytes);
}

json_t *bench_head_json(const cli *c, const bench_args *args, const stapes_model_info *info) {
    stapes__bench_host host;
    stapes__bench_describe_host(&host);
    json_t *model =
        json_pack("{s:s, s:s, s:s, s:I, s:I, s:s}", "name", info->name, "path", info->path,
                  "architecture", info->architecture, "parameters", (json_int_t)info->parameters,
                  "weight_bytes", (json_int_t)info->weight_bytes, "precision", info->precision);
    return json_pack("{s:s, s:s, s:{s:s, s:i}, s:s, s:s, s:o, s:s, s:s, s:i, s:i, s:[], s:[]}",
                     "version", stapes_version(), "commit", STAPES_COMMIT, "machine", "cpu",
                     host.cpu, "cores", host.cores, "isa", info->isa, "cpu_option", c->engine.cpu,
                     "model", model, "attention", args->full_attention ? "full" : "auto", "audio",
                     args->audio ? args->audio : "generated", "warmup", args->warmup, "runs",
                     args->runs, "loads", "rows");
}

/* ---- text ----------------------------------------------------------------------------------- */

static const char *text_at(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static double number_at(const json_t *object, const char *key) {
    return json_number_value(json_object_get(object, key));
}

static void print_head(cli *c, const json_t *report) {
    const json_t *machine = json_object_get(report, "machine");
    const json_t *model = json_object_get(report, "model");
    const char *commit = text_at(report, "commit");
    cli_printf(c, "stapes %s%s%s%s, %s, %d cores usable, %s\n", text_at(report, "version"),
               *commit ? " (" : "", commit, *commit ? ")" : "", text_at(machine, "cpu"),
               (int)number_at(machine, "cores"), text_at(report, "isa"));
    cli_printf(c, "%s: %s, %.1f M parameters, %.1f MB as %s\n", text_at(model, "name"),
               text_at(model, "architecture"), number_at(model, "parameters") / 1e6,
               number_at(model, "weight_bytes") / 1e6, text_at(model, "precision"));
    cli_printf(c, "audio: %s; attention: %s; median and smallest of %d runs after %d\n\n",
               text_at(report, "audio"), text_at(report, "attention"),
               (int)number_at(report, "runs"), (int)number_at(report, "warmup"));
}

static void print_row(cli *c, const json_t *row) {
    cli_printf(c, "%7d %7.4g s", (int)number_at(row, "threads"), number_at(row, "seconds"));
    for (int i = 0; i < BENCH_STAGES; i++) {
        const json_t *stage = json_object_get(row, stage_names[i]);
        cli_printf(c, "  %8.4f %8.4f", number_at(stage, "median"), number_at(stage, "min"));
    }
    cli_printf(c, "  %8.1fx %7.4f %7d %7d\n", number_at(row, "speed"), number_at(row, "rtf"),
               (int)number_at(row, "windows"), (int)number_at(row, "tokens"));
}

static void print_text(cli *c, const json_t *report) {
    size_t i;
    const json_t *item;
    print_head(c, report);
    cli_printf(c, "%7s %9s", "threads", "length");
    for (int k = 0; k < BENCH_STAGES; k++)
        cli_printf(c, "  %8s %8s", stage_names[k], "(min)");
    cli_printf(c, "  %9s %7s %7s %7s\n", "speed", "rtf", "windows", "tokens");
    json_array_foreach(json_object_get(report, "rows"), i, item) print_row(c, item);
    cli_printf(c, "\n");
    json_array_foreach(json_object_get(report, "loads"), i, item)
        cli_printf(c, "loading for %d thread%s: %.3f s, peak memory until then %.1f MB\n",
                   (int)number_at(item, "threads"), number_at(item, "threads") == 1 ? "" : "s",
                   number_at(item, "seconds"), number_at(item, "peak_rss_bytes") / 1e6);
    cli_printf(c, "peak memory: %.1f MB\n", number_at(report, "peak_rss_bytes") / 1e6);
}

static int print_tree(cli *c, json_t *tree, size_t flags) {
    char *text = tree ? json_dumps(tree, flags | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(tree);
    if (!text)
        return cli_fail(c, STAPES_E_MEMORY, NULL, "not enough memory for the report");
    cli_printf(c, "%s\n", text);
    free(text);
    return 0;
}

int bench_print(cli *c, json_t *report) {
    if (!report || c->common.json)
        return print_tree(c, report, JSON_INDENT(1));
    print_text(c, report);
    json_decref(report);
    return 0;
}

int bench_print_line(cli *c, json_t *row) {
    int code = print_tree(c, row, JSON_COMPACT);
    return code == 0 && !cli_flush(c) ? 1 : code;
}
