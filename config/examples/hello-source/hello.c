/* The program of the sample image: says hello and ends; with the argument `wait` it stays
 * until it is told to stop. Freestanding, so that the image holds nothing else. */
#if defined(__x86_64__)
#define ARCH "amd64"
#define SYS_write 1
#define SYS_exit 60
#define SYS_pause_like 271 /* ppoll */
static long call(long n, long a, long b, long c, long d, long e)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	long ret;
	__asm__ volatile("syscall" : "=a"(ret) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
	return ret;
}
__asm__(".globl _start\n_start:\n mov %rsp,%rdi\n and $-16,%rsp\n call start\n");
#elif defined(__aarch64__)
#define ARCH "arm64"
#define SYS_write 64
#define SYS_exit 93
#define SYS_pause_like 73 /* ppoll */
static long call(long n, long a, long b, long c, long d, long e)
{
	register long x8 __asm__("x8") = n;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
	return x0;
}
__asm__(".globl _start\n_start:\n mov x0, sp\n bl start\n");
#endif

static const char text[] = "hello: this image came out of a syncd mirror (linux/" ARCH ")\n";

__attribute__((used)) void start(long *stack)
{
	long argc = stack[0];
	const char *arg = argc > 1 ? (const char *)stack[2] : "";
	call(SYS_write, 1, (long)text, sizeof text - 1, 0, 0);
	if (arg[0] == 'w') /* as process 1 of a container only SIGKILL ends this: nothing to lose */
		call(SYS_pause_like, 0, 0, 0, 0, 0);
	call(SYS_exit, 0, 0, 0, 0, 0);
	__builtin_unreachable();
}
