/* Preloaded into a process: notes, in one order for all threads and processes, every call that
 * changes what a disk holds below one directory, and every sync; or kills the process before the
 * N-th of them. Syncs are noted, not carried out: what a disk loses is for the reader to decide.
 *
 * The record is a page with the counters, then the entries one behind the other. One lock is held
 * from before each call until it is noted, so that the order is the true one. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { CREATE = 1, MKDIR, WRITE, TRUNCATE, SYNC, RENAME, UNLINK, LINK };

struct entry {
  uint32_t kind, size; /* of the name or the bytes that follow */
  uint64_t file, directory, at;
};

struct counters {
  int lock, unused;
  uint64_t calls, last, entries, length;
};

enum { PAGE = 4096, NAMES = 2 * (NAME_MAX + 1) };

static struct counters *counters;
static int record = -1;
static char root[PATH_MAX];
static size_t root_length;

/* Start to note what happens below a directory; the call with the number `last` kills (0: none). */
void recorder_begin(const char *directory, const char *path, uint64_t last) {
  if (realpath(directory, root) == NULL) abort();
  root_length = strlen(root);
  record = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  struct stat status;
  if (record < 0 || fstat(record, &status) != 0) abort();
  if (status.st_size < PAGE && syscall(SYS_ftruncate, record, PAGE) != 0) abort();
  counters = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, record, 0);
  if (counters == MAP_FAILED) abort();
  counters->last = last;
}

__attribute__((constructor)) static void begin_from_environment(void) {
  const char *directory = getenv("RECORDER_ROOT"), *path = getenv("RECORDER_FILE");
  if (directory != NULL && path != NULL) recorder_begin(directory, path, 0);
}

static bool is_inside(int file) {
  char link[64], path[PATH_MAX];
  if (counters == NULL) return false;
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < (ssize_t)root_length || memcmp(path, root, root_length) != 0) return false;
  return length == (ssize_t)root_length || path[root_length] == '/';
}

static uint64_t number_of(int file) {
  struct stat status;
  return fstat(file, &status) == 0 ? status.st_ino : 0;
}

static void begin(void) {
  while (__atomic_test_and_set(&counters->lock, __ATOMIC_ACQUIRE)) sched_yield();
  if (++counters->calls == counters->last) kill(getpid(), SIGKILL);
}

static void end(void) { __atomic_clear(&counters->lock, __ATOMIC_RELEASE); }

static void note(struct entry entry, const struct iovec *bytes, int count) {
  struct iovec parts[1 + count];
  size_t length = sizeof entry;
  parts[0] = (struct iovec){&entry, sizeof entry};
  for (int i = 0; i < count; i++) length += (parts[1 + i] = bytes[i]).iov_len;
  entry.size = length - sizeof entry;
  /* The position comes in two halves of a long, of which 64-bit systems use the first. */
  long written = syscall(SYS_pwritev, record, parts, 1 + count, PAGE + counters->length, 0);
  if (written != (long)length) abort();
  counters->length += length;
  __atomic_add_fetch(&counters->entries, 1, __ATOMIC_RELEASE);
}

static void note_name(enum kind kind, uint64_t file, uint64_t directory, const char *name) {
  struct iovec part = {(void *)name, strlen(name)};
  note((struct entry){.kind = kind, .file = file, .directory = directory}, &part, 1);
}

/* Return whether a path lies below the root; tell its directory's number and its own name. */
static bool locate(int from, const char *path, uint64_t *directory, char *name) {
  if (counters == NULL) return false;
  char parent[PATH_MAX];
  const char *last = strrchr(path, '/');
  last = last == NULL ? path : last + 1;
  if (last - path >= PATH_MAX || strlen(last) > NAME_MAX) return false;
  memcpy(parent, path, last - path);
  strcpy(parent + (last - path), last == path ? "." : "");
  strcpy(name, last);
  int before = errno;
  int file = syscall(SYS_openat, from, parent, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
  errno = before;
  if (file < 0) return false;
  bool inside = is_inside(file);
  *directory = number_of(file);
  close(file);
  return inside;
}

int openat(int from, const char *path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  int mode = flags & O_CREAT ? va_arg(more, int) : 0;
  va_end(more);
  uint64_t directory;
  char name[NAME_MAX + 1];
  if (!(flags & (O_CREAT | O_TRUNC)) || !locate(from, path, &directory, name))
    return syscall(SYS_openat, from, path, flags, mode);
  struct stat status;
  bool is_there = fstatat(from, path, &status, AT_SYMLINK_NOFOLLOW) == 0;
  if (is_there && !(flags & O_TRUNC)) return syscall(SYS_openat, from, path, flags, mode);
  begin();
  is_there = fstatat(from, path, &status, AT_SYMLINK_NOFOLLOW) == 0;
  int file = syscall(SYS_openat, from, path, flags, mode);
  int error = errno;
  if (file >= 0 && !is_there) note_name(CREATE, number_of(file), directory, name);
  if (file >= 0 && is_there && flags & O_TRUNC)
    note((struct entry){.kind = TRUNCATE, .file = number_of(file)}, NULL, 0);
  end();
  errno = error;
  return file;
}

int open(const char *path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  int mode = flags & O_CREAT ? va_arg(more, int) : 0;
  va_end(more);
  return openat(AT_FDCWD, path, flags, mode);
}

/* Carry out a write of some kind and note its bytes; `at` < 0 means the file's own position. */
static ssize_t write_all(int file, const struct iovec *parts, int count, off_t at) {
  long real = at < 0 ? syscall(SYS_writev, file, parts, count)
                     : syscall(SYS_pwritev, file, parts, count, at, 0);
  int error = errno;
  if (real > 0) {
    if (at < 0) at = lseek(file, 0, SEEK_CUR) - real;
    struct iovec noted[count];
    size_t left = real;
    for (int i = 0; i < count; i++) {
      noted[i] = parts[i];
      if (noted[i].iov_len > left) noted[i].iov_len = left;
      left -= noted[i].iov_len;
    }
    note((struct entry){.kind = WRITE, .file = number_of(file), .at = at}, noted, count);
  }
  errno = error;
  return real;
}

static ssize_t write_noted(int file, const struct iovec *parts, int count, off_t at) {
  begin();
  ssize_t real = write_all(file, parts, count, at);
  end();
  return real;
}

ssize_t write(int file, const void *bytes, size_t size) {
  if (!is_inside(file)) return syscall(SYS_write, file, bytes, size);
  return write_noted(file, &(struct iovec){(void *)bytes, size}, 1, -1);
}

ssize_t pwrite(int file, const void *bytes, size_t size, off_t at) {
  if (!is_inside(file)) return syscall(SYS_pwrite64, file, bytes, size, at);
  return write_noted(file, &(struct iovec){(void *)bytes, size}, 1, at);
}

ssize_t writev(int file, const struct iovec *parts, int count) {
  if (!is_inside(file)) return syscall(SYS_writev, file, parts, count);
  return write_noted(file, parts, count, -1);
}

ssize_t pwritev(int file, const struct iovec *parts, int count, off_t at) {
  if (!is_inside(file)) return syscall(SYS_pwritev, file, parts, count, at, 0);
  return write_noted(file, parts, count, at);
}

int ftruncate(int file, off_t size) {
  if (!is_inside(file)) return syscall(SYS_ftruncate, file, size);
  begin();
  int result = syscall(SYS_ftruncate, file, size);
  if (result == 0) note((struct entry){.kind = TRUNCATE, .file = number_of(file), .at = size}, NULL, 0);
  end();
  return result;
}

int truncate(const char *path, off_t size) {
  int file = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
  if (file < 0) return -1;
  int result = ftruncate(file, size);
  close(file);
  return result;
}

int fsync(int file) {
  if (!is_inside(file)) return syscall(SYS_fsync, file);
  begin();
  note((struct entry){.kind = SYNC, .file = number_of(file)}, NULL, 0);
  end();
  return 0;
}

int fdatasync(int file) { return fsync(file); }

int renameat2(int from, const char *path, int to, const char *target, unsigned flags) {
  uint64_t directory, other;
  char names[NAMES], name[NAME_MAX + 1];
  if (!locate(from, path, &directory, names) || !locate(to, target, &other, name))
    return syscall(SYS_renameat2, from, path, to, target, flags);
  size_t length = strlen(names);
  strcpy(names + length + 1, name);
  begin();
  int result = syscall(SYS_renameat2, from, path, to, target, flags);
  struct iovec part = {names, length + 1 + strlen(name)};
  if (result == 0)
    note((struct entry){.kind = RENAME, .directory = directory, .at = other}, &part, 1);
  end();
  return result;
}

int renameat(int from, const char *path, int to, const char *target) {
  return renameat2(from, path, to, target, 0);
}

int rename(const char *path, const char *target) {
  return renameat2(AT_FDCWD, path, AT_FDCWD, target, 0);
}

int unlinkat(int from, const char *path, int flags) {
  uint64_t directory;
  char name[NAME_MAX + 1];
  if (!locate(from, path, &directory, name)) return syscall(SYS_unlinkat, from, path, flags);
  begin();
  int result = syscall(SYS_unlinkat, from, path, flags);
  if (result == 0) note_name(UNLINK, 0, directory, name);
  end();
  return result;
}

int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }

int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int mkdirat(int from, const char *path, mode_t mode) {
  uint64_t directory;
  char name[NAME_MAX + 1];
  if (!locate(from, path, &directory, name)) return syscall(SYS_mkdirat, from, path, mode);
  begin();
  int result = syscall(SYS_mkdirat, from, path, mode);
  struct stat status;
  if (result == 0 && fstatat(from, path, &status, 0) == 0)
    note_name(MKDIR, status.st_ino, directory, name);
  end();
  return result;
}

int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

int linkat(int from, const char *path, int to, const char *target, int flags) {
  uint64_t directory;
  char name[NAME_MAX + 1];
  if (!locate(to, target, &directory, name))
    return syscall(SYS_linkat, from, path, to, target, flags);
  begin();
  int result = syscall(SYS_linkat, from, path, to, target, flags);
  struct stat status;
  if (result == 0 && fstatat(to, target, &status, AT_SYMLINK_NOFOLLOW) == 0)
    note_name(LINK, status.st_ino, directory, name);
  end();
  return result;
}

int link(const char *path, const char *target) {
  return linkat(AT_FDCWD, path, AT_FDCWD, target, 0);
}

/* The names that programs for large files use. */
int open64(const char *, int, ...) __attribute__((alias("open")));
int openat64(int, const char *, int, ...) __attribute__((alias("openat")));
ssize_t pwrite64(int, const void *, size_t, off_t) __attribute__((alias("pwrite")));
ssize_t pwritev64(int, const struct iovec *, int, off_t) __attribute__((alias("pwritev")));
int ftruncate64(int, off_t) __attribute__((alias("ftruncate")));
int truncate64(const char *, off_t) __attribute__((alias("truncate")));
