/* SPDX-License-Identifier: Apache-2.0
 * MUNGE credentials, with a munged of the test's own: private key, socket and files. */
#include "rpc_ucx_child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "transport/auth_munge.h"

struct munged {
    struct unit_dir dir;
    pid_t pid; /* 0: not running */
    char socket[sizeof(UNIT_DIR_TEMPLATE) + 16];
};

static const char *munged_program(void)
{
    static const char *const paths[] = {"/usr/sbin/munged", "/usr/bin/munged"};

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        if (access(paths[i], X_OK) == 0)
            return paths[i];
    }
    return NULL;
}

static void munged_exec(const struct munged *munged, const char *program)
{
    char options[5][96];
    const char *dir = munged->dir.path;
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    snprintf(options[0], sizeof(options[0]), "--socket=%s", munged->socket);
    snprintf(options[1], sizeof(options[1]), "--key-file=%s/key", dir);
    snprintf(options[2], sizeof(options[2]), "--pid-file=%s/pid", dir);
    snprintf(options[3], sizeof(options[3]), "--seed-file=%s/seed", dir);
    snprintf(options[4], sizeof(options[4]), "--log-file=%s/log", dir);
    dup2(null_fd, STDERR_FILENO); /* what happens is in its log file too */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* --force: it does not like directories that others can write to above its files */
    execl(program,
          program,
          "--foreground",
          "--force",
          "--num-threads=1",
          options[0],
          options[1],
          options[2],
          options[3],
          options[4],
          (char *)NULL);
    _exit(127);
}

static int munged_start(void **state)
{
    static struct munged munged;
    const char *program = munged_program();
    struct deadline deadline = deadline_after_ms(10000);
    uint8_t key[64];
    char path[96];
    int fd;

    *state = NULL;
    if (!program)
        return 0;
    unit_dir_create(&munged.dir);
    assert_int_equal(chmod(munged.dir.path, 0755), 0);
    snprintf(munged.socket, sizeof(munged.socket), "%s/socket", munged.dir.path);
    snprintf(path, sizeof(path), "%s/key", munged.dir.path);
    assert_int_equal(random_bytes(key, sizeof(key)), 0);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0400);
    assert_int_equal(write(fd, key, sizeof(key)), sizeof(key));
    close(fd);
    munged.pid = fork();
    if (munged.pid == 0)
        munged_exec(&munged, program);
    *state = &munged;
    while (access(munged.socket, F_OK) != 0) {
        if (deadline_expired(deadline) || waitpid(munged.pid, NULL, WNOHANG) != 0)
            return -1;
        poll(NULL, 0, 5);
    }
    return 0;
}

static int munged_stop(void **state)
{
    struct munged *munged = *state;

    if (!munged)
        return 0;
    kill(munged->pid, SIGKILL);
    waitpid(munged->pid, NULL, 0);
    unit_dir_remove(&munged->dir);
    return 0;
}

static struct auth_munge *auth_create(void **state)
{
    const struct munged *munged = *state;
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct auth_munge *auth;

    if (!munged)
        skip();
    assert_int_equal(auth_munge_create(munged->socket, &auth, &err), 0);
    return auth;
}

static const uint8_t challenge[40] = "a challenge, with a zero\0 within";

static int make(const struct rpc_auth *auth, char *buf, size_t cap)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    int len = auth->make(auth->arg, challenge, sizeof(challenge), buf, cap, &err);

    if (len < 0 && len != -ENOBUFS)
        fail_msg("%s", err.text);
    return len;
}

static void test_good(void **state)
{
    struct auth_munge *munge = auth_create(state);
    const struct rpc_auth *auth = auth_munge_rpc(munge);
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    char credential[1024];
    uint64_t start = clock_now_ns();
    int len = make(auth, credential, sizeof(credential));

    assert_true(len > 0);
    assert_int_equal(auth->check(auth->arg,
                                 credential,
                                 (size_t)len,
                                 challenge,
                                 sizeof(challenge),
                                 geteuid(),
                                 &err),
                     0);
    print_message("make and check: %.2f ms\n", (double)(clock_now_ns() - start) / 1e6);
    auth_munge_destroy(munge);
}

static void test_replayed(void **state)
{
    struct auth_munge *munge = auth_create(state);
    const struct rpc_auth *auth = auth_munge_rpc(munge);
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    char credential[1024];
    int len = make(auth, credential, sizeof(credential));

    for (int i = 0; i < 2; i++)
        assert_int_equal(auth->check(auth->arg,
                                     credential,
                                     (size_t)len,
                                     challenge,
                                     sizeof(challenge),
                                     geteuid(),
                                     &err),
                         i == 0 ? 0 : -EACCES);
    assert_non_null(strstr(err.text, "eplayed"));
    auth_munge_destroy(munge);
}

static void test_wrong_uid_or_challenge(void **state)
{
    struct auth_munge *munge = auth_create(state);
    const struct rpc_auth *auth = auth_munge_rpc(munge);
    uint8_t other[sizeof(challenge)];
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    char credential[1024];
    int len = make(auth, credential, sizeof(credential));

    assert_int_equal(auth->check(auth->arg,
                                 credential,
                                 (size_t)len,
                                 challenge,
                                 sizeof(challenge),
                                 geteuid() + 1,
                                 &err),
                     -EACCES);
    memcpy(other, challenge, sizeof(other));
    other[sizeof(other) - 1] ^= 1;
    for (size_t size = 0; size <= sizeof(other); size += sizeof(other)) {
        len = make(auth, credential, sizeof(credential));
        assert_int_equal(
            auth->check(
                auth->arg, credential, (size_t)len, other, size, geteuid(), &err),
            -EACCES);
    }
    auth_munge_destroy(munge);
}

static void test_garbage(void **state)
{
    static const char *const texts[] = {"", "MUNGE:", "MUNGE:AAAA:", "nonsense"};
    struct auth_munge *munge = auth_create(state);
    const struct rpc_auth *auth = auth_munge_rpc(munge);
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    char credential[1024];
    int len = make(auth, credential, sizeof(credential));

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_true(auth->check(auth->arg,
                                texts[i],
                                strlen(texts[i]),
                                challenge,
                                sizeof(challenge),
                                geteuid(),
                                &err)
                    < 0);
    credential[len / 2] ^= 1;
    assert_int_equal(auth->check(auth->arg,
                                 credential,
                                 (size_t)len,
                                 challenge,
                                 sizeof(challenge),
                                 geteuid(),
                                 &err),
                     -EACCES);
    assert_int_equal(make(auth, credential, 10), -ENOBUFS);
    auth_munge_destroy(munge);
}

static void test_no_daemon(void **state)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    const struct rpc_auth *auth;
    struct auth_munge *munge;
    uint64_t start = clock_now_ns();
    char credential[1024];

    (void)state;
    assert_int_equal(auth_munge_create("/nonexistent/munge.socket", &munge, &err), 0);
    auth = auth_munge_rpc(munge);
    assert_int_equal(auth->make(auth->arg,
                                challenge,
                                sizeof(challenge),
                                credential,
                                sizeof(credential),
                                &err),
                     -ECONNREFUSED);
    assert_non_null(strstr(err.text, "MUNGE"));
    print_message("no munged: %s (after %.1f s)\n",
                  err.text,
                  (double)(clock_now_ns() - start) / 1e9);
    auth_munge_destroy(munge);
}

/* The whole way: HELLO and AUTH with real credentials, on both sides the same. */
static void test_connection(void **state)
{
    const struct munged *munged = *state;
    uint8_t body[64] = "over MUNGE";
    struct rpc_call call = {.body = body, .body_len = sizeof(body)};
    struct rpc_call refused = {0};
    struct auth_munge *munge = auth_create(state);
    struct child child;
    struct client client;

    setenv(CHILD_MUNGE_SOCKET, munged->socket, 1);
    child_start(&child, 0);
    unsetenv(CHILD_MUNGE_SOCKET);
    client_start(&client, &child.address, false, auth_munge_rpc(munge));
    assert_int_equal(client_call(&client, &call, CHILD_ECHO), 0);
    assert_memory_equal(call.reply, body, sizeof(body));
    client_stop(&client);
    client_start(&client, &child.address, false, child_auth(false));
    assert_int_equal(client_call(&client, &refused, CHILD_ECHO), -EACCES);
    client_stop(&client);
    child_stop(&child);
    auth_munge_destroy(munge);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_replayed),
        cmocka_unit_test(test_wrong_uid_or_challenge),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_no_daemon),
        cmocka_unit_test(test_connection),
    };
    int status = child_main(argc, argv);

    if (status >= 0)
        return status;
    return cmocka_run_group_tests(tests, munged_start, munged_stop);
}
