"""What is left on workers comes into WORKDIR where no dispatcher runs."""
