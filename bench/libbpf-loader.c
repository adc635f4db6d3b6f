// What libbpf takes to open and load objects, as JSON lines: with the verifier, and without it, that is less the time
// inside BPF_PROG_LOAD. A test oracle of the benchmark, compiled into the cache by libbpf-program.ts; linked statically
// with --wrap=syscall, so that the calls libbpf makes pass through here.
// usage: libbpf-loader RUNS OBJECT...
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include "measure.h"

#define HAS_PREPARE (LIBBPF_MAJOR_VERSION > 1 || LIBBPF_MINOR_VERSION >= 6)

static double in_verifier;

static double microseconds(void)
{
	return now() / 1e3;
}

long __real_syscall(long number, ...);

long __wrap_syscall(long number, ...)
{
	long a[6];
	va_list list;
	va_start(list, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(list, long);
	va_end(list);
	double start = microseconds();
	long result = __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (number == __NR_bpf && (int)a[0] == BPF_PROG_LOAD)
		in_verifier += microseconds() - start;
	return result;
}

static void say(const char *what, const char *object, double *sample, int count)
{
	char labelled[256];
	snprintf(labelled, sizeof(labelled), "%s %s", what, object);
	report(labelled, sample, count);
}

static int quiet(enum libbpf_print_level level, const char *format, va_list list)
{
	return 0;
}

#if HAS_PREPARE
// From open to the verifier. Without programs it is what the object costs apart from their relocation.
static double prepare(const char *path, int with_programs)
{
	struct bpf_object *object = bpf_object__open_file(path, NULL);
	struct bpf_program *program;
	if (object == NULL)
		exit(1);
	bpf_object__for_each_program(program, object)
		bpf_program__set_autoload(program, with_programs);
	double start = microseconds();
	if (bpf_object__prepare(object))
		exit(1);
	double duration = microseconds() - start;
	bpf_object__close(object);
	return duration;
}
#endif

int main(int argc, char **argv)
{
	static double opened[MAX_RUNS], whole[MAX_RUNS], without[MAX_RUNS], all[MAX_RUNS], none[MAX_RUNS];
	int runs = argc > 2 ? atoi(argv[1]) : 0;
	if (runs < 1 || runs > MAX_RUNS) {
		fprintf(stderr, "usage: libbpf-loader RUNS OBJECT...\n");
		return 2;
	}
	libbpf_set_print(quiet);
	for (int i = 2; i < argc; i++) {
		const char *slash = strrchr(argv[i], '/'), *name = slash ? slash + 1 : argv[i];
		for (int run = 0; run < runs; run++) {
			in_verifier = 0;
			double start = microseconds();
			struct bpf_object *object = bpf_object__open_file(argv[i], NULL);
			opened[run] = microseconds() - start;
			if (object == NULL || bpf_object__load(object)) {
				fprintf(stderr, "libbpf-loader: cannot load %s\n", argv[i]);
				return 1;
			}
			bpf_object__close(object);
			whole[run] = microseconds() - start;
			without[run] = whole[run] - in_verifier;
		}
		// Before anything else of this process takes memory.
		struct rusage usage;
		getrusage(RUSAGE_SELF, &usage);
		double peak = usage.ru_maxrss / 1024.0;
		int prepared = 0;
#if HAS_PREPARE
		for (; prepared < runs; prepared++) {
			all[prepared] = prepare(argv[i], 1);
			none[prepared] = prepare(argv[i], 0);
		}
#endif
		say("open", name, opened, runs);
		say("open+load+close", name, whole, runs);
		say("open+load+close-verifier", name, without, runs);
		say("prepare", name, all, prepared);
		say("prepare-no-programs", name, none, prepared);
		say("memory", name, &peak, 1);
	}
	return 0;
}
