/* SPDX-License-Identifier: Apache-2.0
 *
 * Fibers on ucontext. Stacks have a guard page and are kept for reuse. The sanitizers
 * are told of every switch, as they follow the stack pointer.
 */
#include "daemon/fiber.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/list.h"

#if defined(__SANITIZE_ADDRESS__)
#define FIBER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIBER_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define FIBER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FIBER_TSAN 1
#endif
#endif

#ifdef FIBER_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef FIBER_TSAN
#include <sanitizer/tsan_interface.h>
#endif

#define STACK_SIZE (128u << 10)

struct fiber {
    struct list_node link; /* in the pool's idle list */
    struct fiber_pool *pool;
    ucontext_t context;
    char *mapping; /* guard page and stack */
    size_t mapping_size;
    void (*run)(void *arg);
    void *arg;
    bool is_finished;
#ifdef FIBER_ASAN
    void *fake_stack;
#endif
#ifdef FIBER_TSAN
    void *tsan;
#endif
};

struct fiber_pool {
    unsigned limit;
    unsigned active;
    struct list idle;
    struct fiber *current;
    ucontext_t main_context;
#ifdef FIBER_ASAN
    void *main_fake_stack;
    const void *main_stack;
    size_t main_stack_size;
#endif
#ifdef FIBER_TSAN
    void *main_tsan;
#endif
};

static char *stack_of(const struct fiber *fiber)
{
    return fiber->mapping + (fiber->mapping_size - STACK_SIZE);
}

static void fiber_destroy(struct fiber *fiber)
{
    if (!fiber)
        return;
#ifdef FIBER_TSAN
    if (fiber->tsan)
        __tsan_destroy_fiber(fiber->tsan);
#endif
    if (fiber->mapping)
        munmap(fiber->mapping, fiber->mapping_size);
    free(fiber);
}

static struct fiber *fiber_create(struct fiber_pool *pool)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    struct fiber *fiber = calloc(1, sizeof(*fiber));

    if (!fiber)
        return NULL;
    fiber->pool = pool;
    fiber->mapping_size = STACK_SIZE + page;
    fiber->mapping = mmap(NULL,
                          fiber->mapping_size,
                          PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE,
                          -1,
                          0);
    if (fiber->mapping == MAP_FAILED) {
        fiber->mapping = NULL;
        goto fail;
    }
    if (mprotect(fiber->mapping, page, PROT_NONE))
        goto fail;
#ifdef FIBER_TSAN
    fiber->tsan = __tsan_create_fiber(0);
#endif
    list_node_init(&fiber->link);
    return fiber;

fail:
    fiber_destroy(fiber);
    return NULL;
}

int fiber_pool_create(unsigned limit, struct fiber_pool **ret)
{
    struct fiber_pool *pool = calloc(1, sizeof(*pool));

    if (!pool)
        return -ENOMEM;
    pool->limit = limit;
    list_init(&pool->idle);
    *ret = pool;
    return 0;
}

void fiber_pool_destroy(struct fiber_pool *pool)
{
    struct list_node *node;

    if (!pool)
        return;
    assert(pool->active == 0);
    while ((node = list_pop_front(&pool->idle)))
        fiber_destroy(list_entry(node, struct fiber, link));
    free(pool);
}

struct fiber *fiber_current(const struct fiber_pool *pool)
{
    return pool->current;
}

unsigned fiber_pool_active(const struct fiber_pool *pool)
{
    return pool->active;
}

/* Leaves `fiber` for the pool's thread. */
static void switch_out(struct fiber *fiber)
{
    struct fiber_pool *pool = fiber->pool;

#ifdef FIBER_ASAN
    fiber->fake_stack = NULL;
    __sanitizer_start_switch_fiber(fiber->is_finished ? NULL : &fiber->fake_stack,
                                   pool->main_stack,
                                   pool->main_stack_size);
#endif
#ifdef FIBER_TSAN
    __tsan_switch_to_fiber(pool->main_tsan, 0);
#endif
    swapcontext(&fiber->context, &pool->main_context);
#ifdef FIBER_ASAN
    __sanitizer_finish_switch_fiber(
        fiber->fake_stack, &pool->main_stack, &pool->main_stack_size);
#endif
}

/* Enters `fiber` and returns when it has left again. */
static void switch_in(struct fiber *fiber)
{
    struct fiber_pool *pool = fiber->pool;

    pool->current = fiber;
#ifdef FIBER_ASAN
    __sanitizer_start_switch_fiber(&pool->main_fake_stack, stack_of(fiber), STACK_SIZE);
#endif
#ifdef FIBER_TSAN
    pool->main_tsan = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(fiber->tsan, 0);
#endif
    swapcontext(&pool->main_context, &fiber->context);
#ifdef FIBER_ASAN
    __sanitizer_finish_switch_fiber(pool->main_fake_stack, NULL, NULL);
#endif
    pool->current = NULL;
    if (fiber->is_finished) {
        pool->active--;
        list_push_front(&pool->idle, &fiber->link);
    }
}

/* makecontext() passes ints only: the pointer comes in two halves. */
static void fiber_main(unsigned high, unsigned low)
{
    struct fiber *fiber = (struct fiber *)(((uintptr_t)high << 32) | (uintptr_t)low);

#ifdef FIBER_ASAN
    __sanitizer_finish_switch_fiber(
        NULL, &fiber->pool->main_stack, &fiber->pool->main_stack_size);
#endif
    for (;;) {
        fiber->run(fiber->arg);
        fiber->is_finished = true;
        switch_out(fiber); /* comes back here when the fiber is reused */
    }
}

/* Not inlined: getcontext() counts as returning twice, which would make the compiler
 * distrust the caller's variables. */
static __attribute__((noinline)) void context_init(struct fiber *fiber)
{
    uintptr_t self = (uintptr_t)fiber;

    getcontext(&fiber->context);
    fiber->context.uc_stack.ss_sp = stack_of(fiber);
    fiber->context.uc_stack.ss_size = STACK_SIZE;
    fiber->context.uc_link = NULL;
    makecontext(&fiber->context,
                (void (*)(void))fiber_main,
                2,
                (unsigned)(self >> 32),
                (unsigned)self);
}

int fiber_start(struct fiber_pool *pool, void (*run)(void *arg), void *arg)
{
    struct list_node *node;
    struct fiber *fiber;

    assert(!pool->current);
    if (pool->active >= pool->limit)
        return -EAGAIN;
    node = list_pop_front(&pool->idle);
    fiber = node ? list_entry(node, struct fiber, link) : fiber_create(pool);
    if (!fiber)
        return -ENOMEM;
    fiber->run = run;
    fiber->arg = arg;
    fiber->is_finished = false;
    if (!node)
        context_init(fiber);
    pool->active++;
    switch_in(fiber);
    return 0;
}

void fiber_yield(struct fiber_pool *pool)
{
    assert(pool->current);
    switch_out(pool->current);
}

void fiber_resume(struct fiber_pool *pool, struct fiber *fiber)
{
    assert(!pool->current && !fiber->is_finished);
    switch_in(fiber);
}
