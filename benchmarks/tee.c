/* The reference of `relay.py`: the least a program can do that stands between two others and keeps what they say.
 *
 *     tee RECORD CMD …        starts CMD, copies both directions, appends every chunk to the file RECORD
 *     tee --server            the server of the measurement: answers every line with itself, once the line is whole;
 *                             its first line says, as a JSON-RPC notification, the monotonic ns of its start
 *
 * One `poll` loop, one buffer, no signals, no framing, no errors survived: what C costs, not what a product needs.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char buffer[64 * 1024];

static void write_all(int fd, const char *data, ssize_t size) {
    while (size > 0) {
        ssize_t written = write(fd, data, (size_t)size);
        if (written <= 0) exit(1);
        data += written;
        size -= written;
    }
}

/* Copies one chunk and records it; returns 0 at the end of the stream. */
static int copy(int from, int to, int record) {
    ssize_t size = read(from, buffer, sizeof buffer);
    if (size <= 0) return 0;
    write_all(to, buffer, size);
    if (record >= 0) write_all(record, buffer, size);
    return 1;
}

static int server(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    size_t size = 0, room = 4096;
    char *line = malloc(room);
    long long started = (long long)now.tv_sec * 1000000000LL + now.tv_nsec;
    const char *form = "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/started\",\"params\":{\"ns\":%lld}}\n";
    write_all(1, line, snprintf(line, room, form, started));
    for (;;) {
        if (size == room && !(line = realloc(line, room *= 2))) return 1;
        ssize_t more = read(0, line + size, room - size);
        if (more <= 0) return 0;
        size += (size_t)more;
        if (line[size - 1] == '\n') write_all(1, line, (ssize_t)size), size = 0;
    }
}

int main(int count, char **arguments) {
    if (count == 2 && strcmp(arguments[1], "--server") == 0) return server();
    if (count < 3) return 2;
    int record = open(arguments[1], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    int in[2], out[2];
    if (record < 0 || pipe(in) || pipe(out)) return 1;
    pid_t child = fork();
    if (child == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        for (int i = 0; i < 2; i++) close(in[i]), close(out[i]);
        execvp(arguments[2], arguments + 2);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    struct pollfd ends[2] = {{.fd = 0, .events = POLLIN}, {.fd = out[0], .events = POLLIN}};
    for (;;) {
        if (poll(ends, 2, -1) < 0) return 1;
        if (ends[0].revents && !copy(0, in[1], record)) close(in[1]), ends[0].fd = -1;
        if (ends[1].revents && !copy(out[0], 1, record)) break;
    }
    int status;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
